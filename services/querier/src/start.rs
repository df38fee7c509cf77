//! Starting a querier: an engine, an admission, a reader of the cluster.

use std::sync::Arc;

use prometheus::Registry;
use varve_promql::engine::{Engine, EngineOptions};
use varve_query::Reader;

use crate::Config;
use crate::admission::Admission;
use crate::metrics::Metrics;

/// A querier: answers what [`varve_api::Querier`] asks.
pub struct Service {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) reader: Reader,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
}

/// Makes a querier.
///
/// # Errors
/// When its metrics are registered already.
pub fn start(
    config: Config,
    reader: Reader,
    registry: &Registry,
) -> Result<Arc<Service>, prometheus::Error> {
    let mut options = EngineOptions {
        lookback_ms: config.lookback_delta.as_ms(),
        default_subquery_step_ms: config.default_evaluation_interval.as_ms(),
        max_samples: config.max_samples,
        threads: threads(config.threads),
        ..EngineOptions::default()
    };
    config.features.apply(&mut options);
    let engine = Engine::new(options);
    let admission = Admission::new(config.max_concurrent, config.max_outstanding_per_tenant);
    let metrics = Metrics::new(registry)?;
    Ok(Arc::new(Service { config, engine, reader, admission, metrics }))
}

/// As many threads as are asked for, or as the machine has.
fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}
