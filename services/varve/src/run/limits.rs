//! The limits of tenants, read again whenever their file changes, and what
//! the roles take from them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use varve_compactor::Retention;
use varve_distributor::Overrides;
use varve_model::TenantId;
use varve_runtime::ShutdownToken;

use crate::config::Config;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Follows the file of limits until shutdown. A file that does not parse is
/// reported, and the limits stay as they were.
pub(crate) async fn follow(
    config: Config,
    limits: watch::Sender<Arc<Overrides>>,
    token: ShutdownToken,
) {
    let Some(path) = config.limits.file.clone() else { return token.cancelled().await };
    let mut seen = modified(&path);
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = modified(&path);
        if now == seen {
            continue;
        }
        seen = now;
        match config.overrides() {
            Ok(overrides) => {
                tracing::info!(file = %path.display(), "limits reloaded");
                limits.send_replace(Arc::new(overrides));
            }
            Err(error) => tracing::error!(%error, "limits keep their last values"),
        }
    }
}

fn modified(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Retention as the limits say.
pub(crate) struct LimitsRetention(pub(crate) watch::Receiver<Arc<Overrides>>);

impl Retention for LimitsRetention {
    fn retention_ms(&self, tenant: &TenantId) -> Option<i64> {
        let keep = self.0.borrow().tenant(tenant).retention.as_ms();
        (keep > 0).then_some(keep)
    }
}
