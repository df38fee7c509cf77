//! What a store-gateway reports about itself.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Metrics of a store-gateway.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Requests by call and outcome.
    pub requests: IntCounterVec,
    /// Blocks opened for requests.
    pub blocks: IntCounter,
    /// Series sent.
    pub series: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("varve_store_gateway_requests_total", "Requests by call and outcome."),
            &["call", "outcome"],
        )?;
        let blocks = IntCounter::new("varve_store_gateway_blocks_read_total", "Blocks opened.")?;
        let series = IntCounter::new("varve_store_gateway_series_sent_total", "Series sent.")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(blocks.clone()))?;
        registry.register(Box::new(series.clone()))?;
        Ok(Self { requests, blocks, series })
    }

    /// Counts a request's outcome.
    pub(crate) fn request<T>(&self, call: &str, answer: &Result<T, tonic::Status>) {
        let outcome = answer.as_ref().map_or_else(|s| s.code().description(), |_| "ok");
        self.requests.with_label_values(&[call, outcome]).inc();
    }
}
