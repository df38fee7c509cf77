//! Sealing each partition every few minutes, each at its own moment, and
//! earlier when much has come in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::start::{Hosted, Ingester};

/// How often a partition is asked how much it has taken.
const LOOK: Duration = Duration::from_millis(500);
/// The longest pause after a seal that failed.
const RETRY: Duration = Duration::from_secs(10);

impl Ingester {
    /// Seals a partition until the ingester stops. `turn` of `turns` spreads
    /// the partitions over the interval.
    pub(crate) async fn seal_loop(self, hosted: Arc<Hosted>, turn: u32, turns: u32) {
        let interval = self.config.seal_interval.0;
        let share = self.config.seal_memory.0 / u64::from(turns.max(1));
        let mut pause = interval * (turn + 1) / turns.max(1);
        let mut most = share;
        // A seal that has begun is finished.
        while self.stop.run_until_cancelled(wait(&hosted, pause, most)).await.is_some() {
            // One that failed gave no memory back, nor will the next at once.
            (pause, most) = match self.seal_once(&hosted, self.disk.is_short()).await {
                true => (interval, share),
                false => (interval.min(RETRY), u64::MAX),
            };
        }
    }

    /// Seals all partitions, one after the other.
    pub async fn seal_all(&self) {
        for hosted in self.partitions.values() {
            self.seal_once(hosted, self.disk.is_short()).await;
        }
    }

    /// Seals a partition, for room if `short`; says whether that went well. A
    /// failure leaves the log as it is, so that nothing is lost; the next seal
    /// covers it.
    pub(crate) async fn seal_once(&self, hosted: &Hosted, short: bool) -> bool {
        let partition = &hosted.partition;
        let sealed = match short {
            true => partition.seal_for_room().await,
            false => partition.seal().await,
        };
        if let Err(error) = &sealed {
            self.metrics.seal_failures.inc();
            tracing::warn!(partition = hosted.id, %error, "seal");
        }
        sealed.is_ok()
    }
}

/// Waits until the pause is over or the partition has taken its share of
/// memory.
async fn wait(hosted: &Hosted, pause: Duration, share: u64) {
    let end = Instant::now() + pause;
    loop {
        sleep_until(end.min(Instant::now() + LOOK)).await;
        if Instant::now() >= end || hosted.partition.unsealed_bytes() >= share {
            return;
        }
    }
}
