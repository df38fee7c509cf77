//! Sealing each partition every few minutes, each at its own moment.

use std::sync::Arc;

use crate::start::{Hosted, Ingester};

impl Ingester {
    /// Seals a partition until the ingester stops. `turn` of `turns` spreads
    /// the partitions over the interval.
    pub(crate) async fn seal_loop(self, hosted: Arc<Hosted>, turn: u32, turns: u32) {
        let interval = self.config.seal_interval.0;
        let mut pause = interval * (turn + 1) / turns.max(1);
        // A seal that has begun is finished.
        while self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            self.seal_once(&hosted).await;
            pause = interval;
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
