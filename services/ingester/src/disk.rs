//! The disk's high-water mark: above it appends are refused before they reach
//! the log, so that seals and blocks under construction still find room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a sample is on the disk for a while: in the log, and in a seal.
const COPIES: u64 = 2;

/// What was last seen of the disk, and what came since.
#[derive(Default)]
pub(crate) struct DiskGuard {
    /// Share in use, as the bits of an `f64`.
    used: AtomicU64,
    /// Bytes of the whole disk; 0 when it is not known.
    total: AtomicU64,
    /// Bytes of appends since it was looked at.
    since: AtomicU64,
}

impl DiskGuard {
    /// The share that is in use by now, as far as can be told.
    fn used(&self) -> f64 {
        let used = f64::from_bits(self.used.load(Ordering::Relaxed));
        match self.total.load(Ordering::Relaxed) {
            0 => used,
            total => {
                let since = self.since.load(Ordering::Relaxed).saturating_mul(COPIES);
                used + since as f64 / total as f64
            }
        }
    }

    /// An append of so many bytes goes on.
    pub(crate) fn coming(&self, bytes: usize) {
        self.since.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn seen(&self, used: f64, total: u64) {
        self.used.store(used.to_bits(), Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.since.store(0, Ordering::Relaxed);
    }
}

impl Ingester {
    /// Refuses when the disk is too full.
    pub(crate) fn check_disk(&self) -> Result<()> {
        let used = self.disk.used();
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
                self.disk.seen(used, space.total);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_between_two_looks_counts() {
        let disk = DiskGuard::default();
        disk.coming(1 << 40);
        assert_eq!(disk.used(), 0.0, "a disk of unknown size");
        disk.seen(0.5, 1000);
        assert_eq!(disk.used(), 0.5);
        disk.coming(100);
        assert_eq!(disk.used(), 0.7);
        disk.seen(0.6, 1000);
        assert_eq!(disk.used(), 0.6);
    }
}
