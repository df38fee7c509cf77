//! Starting a store-gateway: the service over a cache of the bucket.

use prometheus::Registry;
use varve_bucket::FileCache;

use crate::Config;
use crate::metrics::Metrics;
use crate::readers::Readers;

/// A store-gateway. It has no state but its cache.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) readers: Readers,
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
    let limit = usize::try_from(config.reader_memory.0).unwrap_or(usize::MAX);
    let readers = Readers::new(cache, limit);
    Ok(Gateway { readers, metrics, blocks_in_flight: config.blocks_in_flight.max(1) })
}
