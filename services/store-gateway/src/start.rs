//! Starting a store-gateway: a cache over the bucket and the service on it.

use std::sync::Arc;

use prometheus::Registry;
use varve_bucket::FileCache;
use varve_cluster::MAX_MESSAGE;
use varve_wire::v1::store_server::StoreServer;

use crate::Config;
use crate::metrics::Metrics;

/// A store-gateway. It has no state but its cache.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) cache: Arc<FileCache>,
    pub(crate) metrics: Metrics,
    pub(crate) blocks_in_flight: usize,
}

/// Makes the gRPC service of a store-gateway.
///
/// # Errors
/// When its metrics are registered already.
pub fn start(
    config: &Config,
    cache: Arc<FileCache>,
    registry: &Registry,
) -> Result<StoreServer<Gateway>, prometheus::Error> {
    let metrics = Metrics::new(registry)?;
    let blocks_in_flight = config.blocks_in_flight.max(1);
    Ok(StoreServer::new(Gateway { cache, metrics, blocks_in_flight })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE))
}
