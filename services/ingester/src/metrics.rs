//! What an ingester reports about itself; log and head count for themselves.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// Metrics of an ingester.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Requests by call and outcome.
    pub requests: IntCounterVec,
    /// Series sent to readers.
    pub series_sent: IntCounter,
    /// Appends refused because the disk is over its high-water mark.
    pub refused_disk: IntCounter,
    /// Appends refused because those under way hold all room.
    pub refused_room: IntCounter,
    /// Bytes of the appends under way.
    pub append_bytes: IntGauge,
    /// Share of the disk in use.
    pub disk_used: Gauge,
    /// Share of the disk that is kept for the next seal and block.
    pub disk_reserve: Gauge,
    /// Seals that failed.
    pub seal_failures: IntCounter,
    /// Cuts shipped.
    pub cuts_shipped: IntCounter,
    /// Blocks committed.
    pub blocks_shipped: IntCounter,
    /// Bytes of the blocks committed.
    pub bytes_shipped: IntCounter,
    /// Attempts to ship that failed.
    pub ship_failures: IntCounter,
    /// Time to build, upload and commit one cut.
    pub ship_seconds: Histogram,
    /// Cuts that have not shipped, by partition.
    pub unshipped: IntGaugeVec,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        fn add<T: Collector + Clone + 'static>(
            registry: &Registry,
            metric: prometheus::Result<T>,
        ) -> prometheus::Result<T> {
            let metric = metric?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        }
        let counter = |name: &str, help: &str| {
            add(registry, IntCounter::new(format!("varve_ingester_{name}"), help))
        };
        let requests = IntCounterVec::new(
            Opts::new("varve_ingester_requests_total", "Requests by call and outcome."),
            &["call", "outcome"],
        );
        let unshipped = IntGaugeVec::new(
            Opts::new("varve_ingester_unshipped_cuts", "Cuts that have not shipped."),
            &["partition"],
        );
        let buckets = vec![0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
        let seconds = HistogramOpts::new(
            "varve_ingester_ship_seconds",
            "Time to build, upload and commit one cut.",
        );
        Ok(Self {
            requests: add(registry, requests)?,
            series_sent: counter("series_sent_total", "Series sent to readers.")?,
            refused_disk: counter(
                "refused_disk_total",
                "Appends refused because the disk is over its high-water mark.",
            )?,
            refused_room: counter(
                "refused_room_total",
                "Appends refused because those under way hold all room.",
            )?,
            append_bytes: add(
                registry,
                IntGauge::new("varve_ingester_append_bytes", "Bytes of the appends under way."),
            )?,
            disk_used: add(
                registry,
                Gauge::new("varve_ingester_disk_used_ratio", "Share of the disk in use."),
            )?,
            disk_reserve: add(
                registry,
                Gauge::new(
                    "varve_ingester_disk_reserve_ratio",
                    "Share of the disk that is kept for the next seal and block.",
                ),
            )?,
            seal_failures: counter("seal_failures_total", "Seals that failed.")?,
            cuts_shipped: counter("cuts_shipped_total", "Cuts shipped.")?,
            blocks_shipped: counter("blocks_shipped_total", "Blocks committed to the catalog.")?,
            bytes_shipped: counter("bytes_shipped_total", "Bytes of the blocks committed.")?,
            ship_failures: counter("ship_failures_total", "Attempts to ship that failed.")?,
            ship_seconds: add(registry, Histogram::with_opts(seconds.buckets(buckets)))?,
            unshipped: add(registry, unshipped)?,
        })
    }

    /// Counts a request's outcome.
    pub(crate) fn request<T>(&self, call: &str, answer: &Result<T, tonic::Status>) {
        let outcome = answer.as_ref().map_or_else(|s| s.code().description(), |_| "ok");
        self.requests.with_label_values(&[call, outcome]).inc();
    }
}
