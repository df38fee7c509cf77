//! The page of all public HTTP routes.
//!
//! The API stands under `/api/v1` (and `/prometheus/api/v1`, which users of
//! Mimir expect), and all of it again under `/tenant/<id>`.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use http::StatusCode;
use prometheus::Registry;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use varve_runtime::Clock;

use crate::layers::{Measure, cross_origin, measure, panicked};
use crate::metrics::Metrics;
use crate::reply::ApiError;
use crate::{Admin, Querier, Writer, openapi, ops, query, read, series, status, tree, write};

/// Who answers. Routes of a role that is not here do not exist.
pub struct Services {
    /// Takes samples.
    pub writer: Option<Arc<dyn Writer>>,
    /// Answers queries.
    pub querier: Option<Arc<dyn Querier>>,
    /// The process.
    pub admin: Arc<dyn Admin>,
    /// What `/metrics` shows; the HTTP side's own metrics are added to it.
    pub registry: Registry,
    /// The time, for queries that name none.
    pub clock: Arc<dyn Clock>,
    /// What `/api/v1/status/buildinfo` says.
    pub build: BuildInfo,
    /// What `/api/v1/status/runtimeinfo` says.
    pub process: ProcessInfo,
    /// The largest body of a write, in bytes, as sent.
    pub max_write_body: usize,
}

/// The build of this program.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// Varve's version.
    pub version: String,
    /// The commit that it was built from.
    pub revision: String,
}

/// Where and how this process runs.
#[derive(Clone, Debug, Default)]
pub struct ProcessInfo {
    /// Its working folder.
    pub folder: String,
    /// The name of its machine.
    pub host: String,
    /// How many threads may run at once.
    pub cores: usize,
    /// How long samples are kept, as text.
    pub retention: String,
}

pub(crate) struct QueryState {
    pub(crate) querier: Arc<dyn Querier>,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) struct WriteState {
    pub(crate) writer: Arc<dyn Writer>,
    pub(crate) max_body: usize,
}

pub(crate) struct AdminState {
    pub(crate) admin: Arc<dyn Admin>,
    pub(crate) registry: Registry,
    pub(crate) process: ProcessInfo,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_ms: i64,
}

/// Makes the router of everything.
///
/// # Errors
/// When the registry has the HTTP side's metrics already.
pub fn router(services: Services) -> Result<Router, prometheus::Error> {
    let metrics = Metrics::new(&services.registry)?;
    let measuring = Arc::new(Measure { metrics, clock: Arc::clone(&services.clock) });
    let admin = Arc::new(AdminState {
        admin: services.admin,
        registry: services.registry.clone(),
        process: services.process,
        started_ms: services.clock.now_ms(),
        clock: Arc::clone(&services.clock),
    });
    let build = Arc::new(services.build);

    let mut api = Router::new()
        .merge(status_routes(&admin, &build))
        .route("/admin/ship", post(ops::ship).with_state(Arc::clone(&admin)));
    if let Some(querier) = services.querier {
        api = api.merge(query_routes(QueryState { querier, clock: services.clock }));
    }
    if let Some(writer) = services.writer {
        let state = WriteState { writer, max_body: services.max_write_body };
        api = api.merge(write_routes(state));
    }
    let api = api.fallback(unknown);

    Ok(Router::new()
        .nest("/api/v1", api.clone())
        .nest("/prometheus/api/v1", api.clone())
        .nest("/tenant/{tenant}/api/v1", api.clone())
        .nest("/tenant/{tenant}/prometheus/api/v1", api)
        .route("/-/healthy", get(ops::healthy))
        .route("/-/ready", get(ops::ready).with_state(Arc::clone(&admin)))
        .route("/metrics", get(ops::metrics).with_state(Arc::clone(&admin)))
        .route("/version", get(status::version).with_state(build))
        .route("/config", get(ops::config).with_state(admin))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new().compress_when(worth_compressing()))
        .layer(middleware::from_fn(cross_origin))
        .layer(middleware::from_fn_with_state(measuring, measure)))
}

fn query_routes(state: QueryState) -> Router {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(tree::parse).post(tree::parse))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::labels).post(series::labels))
        .route("/label/{name}/values", get(series::label_values))
        .route("/metadata", get(series::metadata))
        .route("/read", post(read::read))
        .route("/features", get(status::features))
        .route("/status/tsdb/blocks", get(status::blocks))
        .with_state(Arc::new(state))
}

fn write_routes(state: WriteState) -> Router {
    Router::new()
        .route("/write", post(write::write))
        .route("/push", post(write::write))
        .route("/receive", post(write::write))
        .with_state(Arc::new(state))
}

fn status_routes(admin: &Arc<AdminState>, build: &Arc<BuildInfo>) -> Router {
    Router::new()
        .route("/status/buildinfo", get(status::build_info).with_state(Arc::clone(build)))
        .route("/status/config", get(status::config).with_state(Arc::clone(admin)))
        .route("/status/runtimeinfo", get(status::runtime_info).with_state(Arc::clone(admin)))
        .route("/status/flags", status::fixed("{}"))
        .route("/status/walreplay", status::fixed("{\"min\":0,\"max\":0,\"current\":0}"))
        .route("/rules", get(status::rules))
        .route("/alerts", status::fixed("{\"alerts\":[]}"))
        .route("/alertmanagers", status::fixed(NO_ALERTMANAGERS))
        .route("/targets", get(status::targets))
        .route("/targets/metadata", get(status::target_metadata))
        .route("/targets/relabel_steps", get(status::relabel_steps))
        .route("/scrape_pools", status::fixed("{\"scrapePools\":[]}"))
        .route("/scrape_pools/config", get(status::scrape_pool_config))
        .route("/notifications", status::fixed("[]"))
        .route("/notifications/live", get(status::no_notifications))
        .route("/admin/tsdb/delete_series", refused())
        .route("/admin/tsdb/clean_tombstones", refused())
        .route("/admin/tsdb/snapshot", refused())
        .route("/openapi.yaml", get(openapi::document))
}

const NO_ALERTMANAGERS: &str = "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}";

fn refused() -> MethodRouter {
    post(status::admin_disabled).put(status::admin_disabled)
}

/// All that is text and not tiny. Streamed chunks are dense, and not
/// compressed by Prometheus either.
fn worth_compressing() -> impl Predicate {
    DefaultPredicate::new().and(NotForContentType::const_new("application/x-streamed-protobuf"))
}

async fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such route")
}
