//! Making room on a disk that is short of it: ship before sealing, and let go
//! at once of what is shipped.
//!
//! What ships never has to be sealed, and a block takes room only until it is
//! uploaded; so windows are cut early, their blocks are built one at a time,
//! and the hold time does not count. While the bucket is away seals turn the
//! log into files, which are no larger and which the next block replaces. The
//! room for both is what [`crate::disk`] keeps free.

use tokio::time::sleep;

use crate::disk::{INTERVAL, WORTH};
use crate::error::Result;
use crate::ship::FIRST_BACKOFF;
use crate::start::{Hosted, Ingester};

impl Ingester {
    /// Makes room whenever the disk is short of it; backs off while the bucket
    /// is away.
    pub(crate) async fn relief_loop(self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            sleep(INTERVAL).await;
            if !self.disk.is_short() {
                continue;
            }
            match self.relieve().await {
                Ok(()) => backoff = FIRST_BACKOFF,
                Err(error) => {
                    let seconds = backoff.as_secs();
                    tracing::warn!(%error, seconds, "no room on the disk yet, tried again later");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(self.config.ship_max_backoff.0);
                }
            }
        }
    }

    /// Ships and seals what is worth it. Fails with what could not ship.
    async fn relieve(&self) -> Result<()> {
        let seen = self.disk.seen();
        for hosted in self.partitions.values() {
            // Whoever has it is at work on it.
            if let Ok(mut waiting) = hosted.waiting.try_lock() {
                waiting.clear();
            }
        }
        let log = self.partitions.values().map(|h| h.partition.disk_use().log).sum::<u64>();
        let share = seen.total / WORTH / self.partitions.len().max(1) as u64;
        let (mut away, mut first_error) = (false, None);
        for hosted in self.partitions.values() {
            let used = hosted.partition.disk_use();
            if !away
                && used.log + used.sealed >= share
                && let Err(error) = self.ship_for_room(hosted).await
            {
                away = error.kind().is_retryable();
                first_error.get_or_insert(error);
            }
            if !away || log >= seen.total / WORTH {
                self.seal_once(hosted, true).await;
            }
        }
        self.watch_disk_once();
        first_error.map_or(Ok(()), Err)
    }

    /// Ships everything that a partition holds. As long as the bucket does not
    /// take what is cut, nothing more is.
    async fn ship_for_room(&self, hosted: &Hosted) -> Result<()> {
        let mut waiting = hosted.waiting.lock().await;
        self.ship_cuts(hosted, &mut waiting).await?;
        for key in hosted.partition.uncut() {
            hosted.partition.cut(key.window_end, true).await?;
        }
        self.ship_cuts(hosted, &mut waiting).await.map(drop)
    }
}
