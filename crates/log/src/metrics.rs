//! What the log counts.
//!
//! Entries per sync says how well group commit works; the sync latency is that
//! of the disk; queue bytes near their bound mean that the disk is too slow.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// Metrics of the segment logs of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) entries: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) syncs: IntCounter,
    pub(crate) entries_per_sync: Histogram,
    pub(crate) sync_seconds: Histogram,
    pub(crate) queue_bytes: IntGauge,
    pub(crate) segments: IntGauge,
    pub(crate) free_segments: IntGauge,
    pub(crate) refused_full: IntCounter,
    pub(crate) replayed: IntCounter,
}

impl Metrics {
    /// Creates the metrics and registers them.
    ///
    /// Errors: one of the names is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::build()?;
        let all: [Box<dyn prometheus::core::Collector>; 10] = [
            Box::new(metrics.entries.clone()),
            Box::new(metrics.bytes.clone()),
            Box::new(metrics.syncs.clone()),
            Box::new(metrics.entries_per_sync.clone()),
            Box::new(metrics.sync_seconds.clone()),
            Box::new(metrics.queue_bytes.clone()),
            Box::new(metrics.segments.clone()),
            Box::new(metrics.free_segments.clone()),
            Box::new(metrics.refused_full.clone()),
            Box::new(metrics.replayed.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }

    /// Metrics that nobody collects.
    pub fn unregistered() -> Self {
        Self::build().expect("the names are valid")
    }

    fn build() -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| IntCounter::new(format!("varve_log_{name}"), help);
        let gauge = |name: &str, help: &str| IntGauge::new(format!("varve_log_{name}"), help);
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            Histogram::with_opts(
                HistogramOpts::new(format!("varve_log_{name}"), help).buckets(buckets),
            )
        };
        let counts = prometheus::exponential_buckets(1.0, 2.0, 12)?;
        let seconds = prometheus::exponential_buckets(0.000_05, 2.0, 18)?;
        Ok(Self {
            entries: counter("entries_total", "Entries made durable.")?,
            bytes: counter("bytes_total", "Bytes written to segments, headers included.")?,
            syncs: counter("syncs_total", "Times that fdatasync returned for a batch.")?,
            entries_per_sync: histogram(
                "entries_per_sync",
                "Entries that shared one sync.",
                counts,
            )?,
            sync_seconds: histogram("sync_seconds", "Duration of fdatasync.", seconds)?,
            queue_bytes: gauge("queue_bytes", "Payload bytes waiting for the disk.")?,
            segments: gauge("segments", "Segment files that hold needed entries.")?,
            free_segments: gauge("free_segments", "Segment files kept for reuse.")?,
            refused_full: counter(
                "refused_full_total",
                "Entries refused because the disk is full.",
            )?,
            replayed: counter("read_entries_total", "Entries read back from segment files.")?,
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::unregistered()
    }
}
