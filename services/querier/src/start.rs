//! Starting a querier: an engine, an admission, a reader of the cluster.

use std::path::PathBuf;
use std::sync::Arc;

use prometheus::Registry;
use varve_promql::engine::{Engine, EngineOptions};
use varve_query::Reader;
use varve_runtime::Clock;

use crate::Config;
use crate::admission::Admission;
use crate::metrics::Metrics;
use crate::query_log::QueryLog;

/// A querier: answers what [`varve_api::Querier`] asks.
pub struct Service {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) reader: Reader,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) log: Option<QueryLog>,
}

/// Why a querier cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its metrics are registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The query log cannot be written.
    #[error("query log {} cannot be written: {source} (setting querier.query_log_file)", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes a querier.
///
/// # Errors
/// When its metrics are registered already, or its log cannot be written.
pub fn start(
    config: Config,
    reader: Reader,
    clock: Arc<dyn Clock>,
    registry: &Registry,
) -> Result<Arc<Service>, StartError> {
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
    let open = |path: &PathBuf| {
        QueryLog::open(path, clock, metrics.log_dropped.clone())
            .map_err(|source| StartError::Log { path: path.clone(), source })
    };
    let log = config.query_log_file.as_ref().map(open).transpose()?;
    Ok(Arc::new(Service { config, engine, reader, admission, metrics, log }))
}

/// As many threads as are asked for, or as the machine has.
fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}
