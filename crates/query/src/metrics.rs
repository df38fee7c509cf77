//! What reads report about themselves.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Metrics of distributed reads.
#[derive(Clone)]
pub struct Metrics {
    /// Calls to sources by kind (`ingester`, `store_gateway`) and outcome.
    pub calls: IntCounterVec,
    /// Times that a read had to pin the catalog anew.
    pub repins: IntCounter,
    /// Series gathered from all sources, before the merge.
    pub series: IntCounter,
    /// Bytes of coded chunks gathered.
    pub chunk_bytes: IntCounter,
    /// Bytes that queries hold now.
    pub memory: IntGauge,
    /// Seconds until the last source of a select had answered.
    pub gather_seconds: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            calls: IntCounterVec::new(
                Opts::new("varve_query_calls_total", "Calls to sources of series."),
                &["source", "outcome"],
            )?,
            repins: IntCounter::new(
                "varve_query_repins_total",
                "Reads that pinned the catalog anew because a head had released data.",
            )?,
            series: IntCounter::new("varve_query_series_total", "Series read from sources.")?,
            chunk_bytes: IntCounter::new(
                "varve_query_chunk_bytes_total",
                "Bytes of coded chunks read from sources.",
            )?,
            memory: IntGauge::new("varve_query_memory_bytes", "Memory that queries hold now.")?,
            gather_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "varve_query_gather_seconds",
                    "Time until every source of a select has answered.",
                )
                .buckets(prometheus::exponential_buckets(0.001, 2.5, 12)?),
            )?,
        };
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.repins.clone()))?;
        registry.register(Box::new(metrics.series.clone()))?;
        registry.register(Box::new(metrics.chunk_bytes.clone()))?;
        registry.register(Box::new(metrics.memory.clone()))?;
        registry.register(Box::new(metrics.gather_seconds.clone()))?;
        Ok(metrics)
    }
}
