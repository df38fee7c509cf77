//! Builds a distributor from its settings and what it is given.

use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::watch;
use varve_runtime::Clock;

use crate::{Config, Distributor, Metrics, Overrides, Partitions};

/// What a distributor is given from outside.
pub struct Deps {
    /// The way to partitions.
    pub partitions: Arc<dyn Partitions>,
    /// The limits of tenants; a new value counts from the next request on.
    pub limits: watch::Receiver<Arc<Overrides>>,
    /// Wall clock, for far-future checks, and the clock of rate limits.
    pub clock: Arc<dyn Clock>,
    /// The key of series fingerprints: random, drawn anew at every start,
    /// because a sender that knew it could write into others' series.
    pub fingerprint_key: [u8; 16],
    /// Where metrics go.
    pub registry: Registry,
}

/// Builds a distributor. It has no tasks of its own and needs no shutdown.
///
/// # Errors
/// When its metrics are registered already.
pub fn start(config: Config, deps: Deps) -> Result<Arc<Distributor>, prometheus::Error> {
    let metrics = Metrics::new(&deps.registry)?;
    Ok(Arc::new(Distributor::new(config, deps, metrics)))
}
