//! The disk's high-water mark: above it appends are refused before they reach
//! the log, so that seals and blocks under construction still find room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was last seen of the disk.
#[derive(Default)]
pub(crate) struct DiskGuard {
    /// Share in use, as the bits of an `f64`.
    used: AtomicU64,
}

impl Ingester {
    /// Refuses when the disk was last seen too full.
    pub(crate) fn check_disk(&self) -> Result<()> {
        let used = f64::from_bits(self.disk.used.load(Ordering::Relaxed));
        if used < self.config.disk_high_water {
            return Ok(());
        }
        self.metrics.refused_disk.inc();
        let limit = self.config.disk_high_water * 100.0;
        Err(IngesterError::DiskFull { used: used * 100.0, limit })
    }

    /// Looks at the disk once.
    pub(crate) fn watch_disk_once(&self) {
        self.metrics.append_bytes.set(i64::try_from(self.admission.held()).unwrap_or(i64::MAX));
        match self.log.space() {
            Ok(space) if space.total > 0 => {
                let used = 1.0 - space.free as f64 / space.total as f64;
                self.disk.used.store(used.to_bits(), Ordering::Relaxed);
                self.metrics.disk_used.set(used);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot tell how full the disk is"),
        }
    }

    /// Looks at the disk until the process ends.
    pub(crate) async fn watch_disk(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.watch_disk_once();
        }
    }
}
