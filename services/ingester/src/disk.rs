//! How full the disk is, and whether an append may go on.
//!
//! Nothing that is on the disk can leave it without taking more of it first:
//! the log is purged when a seal is written, seals go when a block is built
//! and shipped. So beside the high-water mark there is a reserve: what a seal
//! of all that is in memory and the largest block would take. Appends are
//! refused while that is not free; [`crate::relief`] uses it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

/// How often the disk is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// From this part of what it may take on, the disk is short of room.
const SHORT: f64 = 0.9;
/// Less than this part of the disk is not worth making room: it is full of
/// something else.
pub(crate) const WORTH: u64 = 32;
/// For each byte of an append: what it adds to the reserve, as far as can be
/// told before it is decoded (it may be as much again in memory).
const RESERVED: u64 = 5;

/// What was last seen of the disk, and what came since.
pub(crate) struct DiskGuard {
    /// Share in use from which nothing is taken. With 1 nothing is reserved.
    mark: f64,
    seen: Mutex<Seen>,
    /// Bytes of appends that were not on the disk then.
    since: AtomicU64,
}

/// One look at the disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The whole disk; 0 when it is not known.
    pub total: u64,
    /// What may still be used.
    pub free: u64,
    /// What sealing and shipping will take before they give room back.
    pub reserve: u64,
    /// What log and sealed files take.
    pub held: u64,
}

/// Shares of the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    used: f64,
    reserve: f64,
}

impl DiskGuard {
    pub(crate) fn new(mark: f64) -> Self {
        Self { mark, seen: Mutex::default(), since: AtomicU64::new(0) }
    }

    /// What was last seen.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    /// Notes a look at the disk; so many bytes of appends are under way.
    fn see(&self, seen: Seen, under_way: u64) {
        *self.seen.lock() = seen;
        self.since.store(under_way, Ordering::Relaxed);
    }

    /// The shares by now, as far as can be told.
    fn level(&self) -> Level {
        let Seen { total, free, reserve, .. } = self.seen();
        if total == 0 {
            return Level { used: 0.0, reserve: 0.0 };
        }
        let since = self.since.load(Ordering::Relaxed);
        let used = total.saturating_sub(free).saturating_add(since);
        let reserve = reserve.saturating_add(since.saturating_mul(RESERVED));
        let share = |bytes: u64| bytes as f64 / total as f64;
        Level { used: share(used), reserve: if self.mark < 1.0 { share(reserve) } else { 0.0 } }
    }

    /// What is taken of what may be, 1 for all of it.
    fn fullness(&self, level: Level) -> f64 {
        (level.used / self.mark).max(level.used + level.reserve)
    }

    /// Whether room should be made, and what lies here can make some.
    pub(crate) fn is_short(&self) -> bool {
        let Seen { total, held, .. } = self.seen();
        held >= total / WORTH && self.fullness(self.level()) >= SHORT
    }

    /// Takes in an append of so many bytes, if there is room.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        let level = self.level();
        if self.fullness(level) < 1.0 {
            self.since.fetch_add(bytes as u64, Ordering::Relaxed);
            return Ok(());
        }
        let [used, reserve, limit] = [level.used, level.reserve, self.mark].map(|s| s * 100.0);
        Err(IngesterError::DiskFull { used, reserve, limit })
    }
}

impl Ingester {
    /// Takes in an append of so many bytes, if the disk has room.
    pub(crate) fn check_disk(&self, bytes: usize) -> Result<()> {
        self.disk.take(bytes).inspect_err(|_| self.metrics.refused_disk.inc())
    }

    /// Looks at the disk once.
    pub(crate) fn watch_disk_once(&self) {
        let under_way = self.admission.held();
        self.metrics.append_bytes.set(i64::try_from(under_way).unwrap_or(i64::MAX));
        let uses = self.partitions.values().map(|hosted| hosted.partition.disk_use());
        // A segment, so that seals and cuts find room in the log.
        let (mut reserve, mut held, mut block) = (self.config.log_segment.0, 0, 0);
        for taken in uses {
            reserve += taken.seal;
            held += taken.log + taken.sealed;
            block = taken.block.max(block);
        }
        reserve += block;
        match self.log.space() {
            Ok(space) if space.total > 0 => {
                let seen = Seen { total: space.total, free: space.free, reserve, held };
                self.disk.see(seen, under_way);
                self.metrics.disk_used.set(1.0 - space.free as f64 / space.total as f64);
                self.metrics.disk_reserve.set(reserve as f64 / space.total as f64);
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

    fn seen(total: u64, free: u64, reserve: u64) -> Seen {
        Seen { total, free, reserve, held: total / WORTH }
    }

    #[test]
    fn what_comes_between_two_looks_counts() {
        let disk = DiskGuard::new(0.9);
        disk.take(1 << 40).expect("a disk of unknown size");
        disk.see(seen(1000, 500, 100), 0);
        assert_eq!(disk.level(), Level { used: 0.5, reserve: 0.1 });
        disk.take(40).expect("there is room");
        assert_eq!(disk.level(), Level { used: 0.54, reserve: 0.3 });
        disk.see(seen(1000, 400, 100), 20);
        assert_eq!(disk.level(), Level { used: 0.62, reserve: 0.2 });
    }

    #[test]
    fn the_mark_and_the_reserve_refuse() {
        // Mark, free and reserve of 1,000 bytes: short, refused.
        for (mark, free, reserve, short, refused) in [
            (0.9, 500, 0, false, false),
            (0.9, 180, 0, true, false),
            (0.9, 100, 0, true, true),
            (0.9, 500, 390, false, false),
            (0.9, 500, 410, true, false),
            (0.9, 500, 510, true, true),
            // Nothing is reserved.
            (1.0, 110, 900, false, false),
            (1.0, 0, 0, true, true),
        ] {
            let disk = DiskGuard::new(mark);
            disk.see(seen(1000, free, reserve), 0);
            let found = (disk.is_short(), disk.take(0).is_err());
            assert_eq!(found, (short, refused), "{mark} {free} {reserve}");
            disk.see(Seen { held: 1, ..seen(1000, free, reserve) }, 0);
            let found = (disk.is_short(), disk.take(0).is_err());
            assert_eq!(found, (false, refused), "{mark} {free} {reserve}: others' bytes");
        }
    }
}
