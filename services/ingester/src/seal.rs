//! Sealing each partition every few minutes, each at its own moment, and
//! earlier when much has come in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::start::{Hosted, Ingester};

/// How often a partition is asked how much it has taken.
const LOOK: Duration = Duration::from_millis(500);

impl Ingester {
    /// Seals a partition until the ingester stops. `turn` of `turns` spreads
    /// the partitions over the interval.
    pub(crate) async fn seal_loop(self, hosted: Arc<Hosted>, turn: u32, turns: u32) {
        let interval = self.config.seal_interval.0;
        let share = self.config.seal_memory.0 / u64::from(turns.max(1));
        let mut pause = interval * (turn + 1) / turns.max(1);
        // A seal that has begun is finished.
        while self.stop.run_until_cancelled(wait(&hosted, pause, share)).await.is_some() {
            self.seal_once(&hosted).await;
            pause = interval;
        }
    }

    /// Seals all partitions, one after the other.
    pub async fn seal_all(&self) {
        for hosted in self.partitions.values() {
            self.seal_once(hosted).await;
        }
    }

    /// Seals a partition. A failure leaves the log as it is, so that nothing
    /// is lost; the next seal covers it.
    pub(crate) async fn seal_once(&self, hosted: &Hosted) {
        if let Err(error) = hosted.partition.seal().await {
            self.metrics.seal_failures.inc();
            tracing::warn!(partition = hosted.id, %error, "seal");
        }
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
