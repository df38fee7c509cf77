//! Counters and gauges of heads; all partitions of a process share them.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// The metrics of the heads of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) appended: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) series: IntGaugeVec,
    pub(crate) memory: IntGaugeVec,
    pub(crate) applied: IntGaugeVec,
    pub(crate) seals: IntCounter,
    pub(crate) seal_seconds: Histogram,
    pub(crate) sealed_bytes: IntCounter,
}

impl Metrics {
    /// Makes and registers the metrics.
    ///
    /// # Errors
    /// When the registry has metrics of the same names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauges = |name: &str, help: &str| -> prometheus::Result<IntGaugeVec> {
            let metric = IntGaugeVec::new(Opts::new(name, help), &["partition"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let seal_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "varve_head_seal_seconds",
                "Time to write a seal and purge the log.",
            )
            .buckets(vec![0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]),
        )?;
        registry.register(Box::new(seal_seconds.clone()))?;
        Ok(Self {
            appended: counters(
                "varve_head_appended_total",
                "Samples applied, those that were there already included.",
                "kind",
            )?,
            refused: counters(
                "varve_head_refused_total",
                "Samples refused when applied, by reason.",
                "reason",
            )?,
            series: gauges("varve_head_series", "Series in memory.")?,
            memory: gauges("varve_head_memory_bytes", "Bytes of memory behind series.")?,
            applied: gauges("varve_head_applied_index", "Index of the last applied entry.")?,
            seals: counter("varve_head_seals_total", "Seals written.")?,
            seal_seconds,
            sealed_bytes: counter("varve_head_sealed_bytes_total", "Bytes written by seals.")?,
        })
    }
}
