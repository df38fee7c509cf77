//! Starting a store-gateway: the service over a cache of the bucket.

use prometheus::Registry;
use varve_bucket::FileCache;

use crate::Config;
use crate::metrics::Metrics;

/// A store-gateway. It has no state but its cache.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) cache: FileCache,
    pub(crate) metrics: Metrics,
    pub(crate) blocks_in_flight: usize,
}

/// Makes a store-gateway; it implements the gRPC service `Store`.
///
/// # Errors
/// When its metrics are registered already.
pub fn start(
    config: &Config,
    cache: FileCache,
    registry: &Registry,
) -> Result<Gateway, prometheus::Error> {
    let metrics = Metrics::new(registry)?;
    Ok(Gateway { cache, metrics, blocks_in_flight: config.blocks_in_flight.max(1) })
}
