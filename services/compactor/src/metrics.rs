//! What a compactor reports about itself.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Metrics of a compactor.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Rounds over one tenant by outcome.
    pub(crate) rounds: IntCounterVec,
    /// Blocks dropped by retention.
    pub(crate) expired: IntCounter,
    /// Objects deleted by collections.
    pub(crate) deleted: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let rounds = IntCounterVec::new(
            Opts::new("varve_compactor_rounds_total", "Rounds over one tenant by outcome."),
            &["outcome"],
        )?;
        let expired = IntCounter::new(
            "varve_compactor_blocks_expired_total",
            "Blocks dropped because all their samples are past retention.",
        )?;
        let deleted = IntCounter::new(
            "varve_compactor_objects_deleted_total",
            "Objects deleted from the bucket by garbage collection.",
        )?;
        registry.register(Box::new(rounds.clone()))?;
        registry.register(Box::new(expired.clone()))?;
        registry.register(Box::new(deleted.clone()))?;
        Ok(Self { rounds, expired, deleted })
    }
}
