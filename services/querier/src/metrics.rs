//! What a querier reports about itself.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Metrics of a querier.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Queries by call and outcome.
    pub queries: IntCounterVec,
    /// Seconds by call, waiting included.
    pub seconds: HistogramVec,
    /// Queries that run now.
    pub running: IntGauge,
    /// Lines that the query log has lost.
    pub log_dropped: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let queries = IntCounterVec::new(
            Opts::new("varve_querier_queries_total", "Queries by call and outcome."),
            &["call", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("varve_querier_seconds", "Time of queries, waiting included.")
                .buckets(prometheus::exponential_buckets(0.001, 3.0, 12)?),
            &["call"],
        )?;
        let running = IntGauge::new("varve_querier_running", "Queries that run now.")?;
        let log_dropped = IntCounter::new(
            "varve_querier_query_log_dropped_total",
            "Lines of the query log that could not be written in time.",
        )?;
        registry.register(Box::new(log_dropped.clone()))?;
        registry.register(Box::new(queries.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(running.clone()))?;
        Ok(Self { queries, seconds, running, log_dropped })
    }
}
