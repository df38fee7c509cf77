//! Metrics of the bucket, the catalog and the cache of block files.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::Collector,
};

/// All metrics of this crate. Clones count into the same values.
#[derive(Clone)]
pub struct Metrics {
    /// Requests begun, by operation. A retry counts once more in `retries`.
    pub(crate) operations: IntCounterVec,
    /// Requests that failed in the end, by operation and error kind.
    pub(crate) errors: IntCounterVec,
    /// Repeated attempts, by operation.
    pub(crate) retries: IntCounterVec,
    /// Bytes moved, by operation.
    pub(crate) bytes: IntCounterVec,
    /// Duration with all attempts, by operation.
    pub(crate) seconds: HistogramVec,
    /// Commits by outcome: committed, already, refused, failed.
    pub(crate) commits: IntCounterVec,
    /// Manifests that lost the race for their number.
    pub(crate) lost_races: IntCounter,
    /// Commits that won a number below the floor and were done again.
    pub(crate) void_commits: IntCounter,
    /// LIST requests that finding the newest version needed.
    pub(crate) catalog_lists: IntCounter,
    /// Objects deleted by garbage collection, by kind.
    pub(crate) collected: IntCounterVec,
    /// Pages of block files asked of the cache, by result: memory, disk, miss.
    pub(crate) cache_pages: IntCounterVec,
    /// Bytes of block files fetched from the bucket into the cache.
    pub(crate) cache_fetched_bytes: IntCounter,
    /// Bytes of block files held in memory.
    pub(crate) cache_memory_bytes: IntGauge,
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let made = IntCounterVec::new(Opts::new(name, help), labels);
    register(registry, made.expect("the names of metrics and labels are constants that are valid"))
}

fn single(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let made = IntCounter::new(name, help);
    register(registry, made.expect("the names of metrics are constants that are valid"))
}

/// Registers; a registry that already has the metric keeps the earlier one.
fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    if let Err(error) = registry.register(Box::new(collector.clone())) {
        tracing::debug!(%error, "metric is not registered");
    }
    collector
}

impl Metrics {
    /// Creates and registers them. A process makes one and shares it among its
    /// buckets; what is registered twice shows only the first.
    pub fn new(registry: &Registry) -> Self {
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "varve_bucket_operation_seconds",
                "Time a bucket operation took with all its attempts.",
            )
            .buckets(vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]),
            &["operation"],
        )
        .expect("the names of metrics and labels are constants that are valid");
        let memory = IntGauge::new(
            "varve_bucket_cache_memory_bytes",
            "Bytes of block files held in memory.",
        )
        .expect("the names of metrics are constants that are valid");
        let c = |name: &str, help: &str, labels: &[&str]| counter(registry, name, help, labels);
        let s = |name: &str, help: &str| single(registry, name, help);
        Self {
            operations: c("varve_bucket_operations_total", "Bucket operations.", &["operation"]),
            errors: c(
                "varve_bucket_operation_errors_total",
                "Bucket operations that failed after all attempts.",
                &["operation", "kind"],
            ),
            retries: c(
                "varve_bucket_operation_retries_total",
                "Attempts of bucket operations after the first.",
                &["operation"],
            ),
            bytes: c("varve_bucket_bytes_total", "Bytes read and written.", &["operation"]),
            seconds: register(registry, seconds),
            commits: c("varve_catalog_commits_total", "Changes by outcome.", &["outcome"]),
            lost_races: s(
                "varve_catalog_lost_races_total",
                "Manifests written by somebody else first.",
            ),
            void_commits: s(
                "varve_catalog_void_commits_total",
                "Commits that won a collected version and were repeated.",
            ),
            catalog_lists: s(
                "varve_catalog_lists_total",
                "LIST requests needed to find the newest version.",
            ),
            collected: c(
                "varve_catalog_collected_total",
                "Objects deleted by garbage collection.",
                &["kind"],
            ),
            cache_pages: c(
                "varve_bucket_cache_pages_total",
                "Pages of block files asked of the cache.",
                &["result"],
            ),
            cache_fetched_bytes: s(
                "varve_bucket_cache_fetched_bytes_total",
                "Bytes of block files fetched from the bucket.",
            ),
            cache_memory_bytes: register(registry, memory),
        }
    }
}

impl Default for Metrics {
    /// Metrics that nobody reads, for tools and tests.
    fn default() -> Self {
        Self::new(&Registry::new())
    }
}
