//! A line of JSON for each PromQL query, in a file, with the fields that
//! Prometheus' query log has, and the tenant.
//!
//! Lines are written by a thread of its own; when it does not keep up, lines
//! are dropped and counted, as no query waits for its log.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

use prometheus::IntCounter;
use serde_json::{Value, json};
use varve_model::TenantId;
use varve_promql::engine::Query;
use varve_runtime::Clock;

/// Lines that may wait for the disk.
const WAITING: usize = 1024;

/// The log.
pub(crate) struct QueryLog {
    send: SyncSender<String>,
    clock: Arc<dyn Clock>,
    dropped: IntCounter,
}

impl QueryLog {
    /// Opens the file, at whose end lines are added.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        let mut file = File::options().append(true).create(true).open(path)?;
        let (send, receive) = sync_channel::<String>(WAITING);
        let lost = dropped.clone();
        let write = move || {
            for mut line in receive {
                line.push('\n');
                if let Err(error) = file.write_all(line.as_bytes()) {
                    tracing::warn!(%error, "write the query log");
                    lost.inc();
                }
            }
        };
        std::thread::Builder::new().name("query-log".to_owned()).spawn(write)?;
        Ok(Self { send, clock, dropped })
    }

    /// Adds a query that has ended.
    pub(crate) fn add(&self, tenant: &TenantId, query: &Query, error: Option<&str>, stats: &Value) {
        let mut line = json!({
            "time": date(self.clock.now_ms()),
            "level": "INFO",
            "msg": "promql query logged",
            "params": {
                "query": query.text,
                "start": date(query.start_ms),
                "end": date(query.end_ms),
                "step": query.step_ms / 1000,
            },
            "stats": stats,
            "tenant": tenant.as_str(),
        });
        if let Some(error) = error {
            line["error"] = Value::from(error);
        }
        if self.send.try_send(line.to_string()).is_err() {
            self.dropped.inc();
        }
    }
}

/// A time as Prometheus writes it: RFC 3339 in UTC, with milliseconds. Years
/// that it cannot write are cut to those that it can.
fn date(ms: i64) -> String {
    const LAST: i64 = 253_402_300_799_999;
    let since = Duration::from_millis(ms.clamp(0, LAST).unsigned_abs());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_prometheus_writes_them() {
        assert_eq!(date(1_518_566_907_133), "2018-02-14T00:08:27.133Z");
        assert_eq!(date(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date(i64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
