//! What the API says of the server: build, process, blocks, rules, alerts,
//! targets. What Varve does not do is answered truthfully with empty lists,
//! after the parameters have been checked as Prometheus checks them.

mod features;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use varve_promql::parse::{parse_metric_selector, quote};

use crate::json::{push_list, push_string, push_utc};
use crate::params::{Form, integer};
use crate::reply::{ApiError, answer, success};
use crate::routes::{AdminState, BuildInfo, QueryState};
use crate::tenant::Tenant;

pub(crate) use features::features;

/// The Prometheus whose language and API this is: clients decide by it what
/// they may ask.
const PROMETHEUS_VERSION: &str = "3.15.0";

type Reply = Result<Response, ApiError>;

/// A route that always answers the same.
pub(crate) fn fixed(data: &'static str) -> MethodRouter {
    get(move || async move { success(|out| out.push_str(data)) })
}

/// Appends an object of strings.
fn push_strings(out: &mut String, fields: &[(&str, &str)]) {
    out.push('{');
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

fn build_fields(build: &BuildInfo) -> [(&'static str, &str); 8] {
    [
        ("application", "Varve"),
        ("version", PROMETHEUS_VERSION),
        ("varveVersion", &build.version),
        ("revision", &build.revision),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
    ]
}

pub(crate) async fn build_info(State(build): State<Arc<BuildInfo>>) -> Response {
    success(|out| push_strings(out, &build_fields(&build)))
}

/// `/version`: the same without the envelope.
pub(crate) async fn version(State(build): State<Arc<BuildInfo>>) -> Response {
    crate::reply::json(StatusCode::OK, {
        let mut out = String::new();
        push_strings(&mut out, &build_fields(&build));
        out
    })
}

pub(crate) async fn runtime_info(State(state): State<Arc<AdminState>>) -> Response {
    let (process, now) = (&state.process, state.clock.now_ms());
    // What Go counts as goroutines are tasks here.
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    success(|out| {
        out.push('{');
        let strings = [("CWD", &*process.folder), ("hostname", &*process.host)];
        let times = [
            ("startTime", state.started_ms),
            ("serverTime", now),
            ("lastConfigTime", state.started_ms),
        ];
        for (name, ms) in times {
            push_string(out, name);
            out.push(':');
            out.push('"');
            push_utc(out, ms);
            out.push_str("\",");
        }
        for (name, value) in strings {
            push_string(out, name);
            out.push(':');
            push_string(out, value);
            out.push(',');
        }
        let (cores, retention) = (process.cores, &process.retention);
        out.push_str("\"reloadConfigSuccess\":true,\"corruptionCount\":0,");
        out.push_str(&format!("\"goroutineCount\":{tasks},\"GOMAXPROCS\":{cores},"));
        out.push_str("\"GOMEMLIMIT\":9223372036854775807,\"GOGC\":\"\",\"GODEBUG\":\"\",");
        out.push_str("\"storageRetention\":");
        push_string(out, retention);
        out.push('}');
    })
}

/// The blocks of the tenant, as Prometheus shows its own.
pub(crate) async fn blocks(State(state): State<Arc<QueryState>>, Tenant(tenant): Tenant) -> Reply {
    let result = state.querier.blocks(tenant).await?;
    Ok(answer(result, |out, blocks| {
        out.push_str("{\"blocks\":");
        push_list(out, &blocks, |out, b| {
            out.push_str("{\"ulid\":");
            push_string(out, &b.id);
            out.push_str(&format!(
                ",\"minTime\":{},\"maxTime\":{},\"stats\":{{\"numSamples\":{},\"numSeries\":{}}}",
                // Prometheus' end is exclusive.
                b.min_time,
                b.max_time.saturating_add(1),
                b.samples,
                b.series
            ));
            out.push_str(&format!(",\"compaction\":{{\"level\":{},\"sources\":", b.level + 1));
            push_list(out, &b.sources, |out, id| push_string(out, id));
            out.push_str("},\"version\":1}");
        });
        out.push('}');
    }))
}

pub(crate) async fn config(State(state): State<Arc<AdminState>>) -> Response {
    let yaml = state.admin.config_yaml();
    success(|out| {
        out.push_str("{\"yaml\":");
        push_string(out, &yaml);
        out.push('}');
    })
}

/// There are no rules, whatever is asked.
pub(crate) async fn rules(form: Form) -> Reply {
    form.whole()?;
    form.selectors().map_err(ApiError::bad_data)?;
    let kind = form.get("type").to_lowercase();
    if !matches!(&*kind, "" | "alert" | "record") {
        let why = format!("not supported value {}", quote(&kind));
        return Err(ApiError::parameter("type", why));
    }
    let exclude = form.get("exclude_alerts").to_lowercase();
    if !matches!(&*exclude, "" | "1" | "t" | "true" | "0" | "f" | "false") {
        let shown = quote(&exclude);
        let why = format!(
            "error converting exclude_alerts: strconv.ParseBool: parsing {shown}: invalid syntax"
        );
        return Err(ApiError::parameter("exclude_alerts", why));
    }
    let (limit, token) = (form.get("group_limit"), form.get("group_next_token"));
    if limit.is_empty() {
        if !token.is_empty() {
            let why = "group_limit needs to be present in order to paginate over the groups";
            return Err(ApiError::parameter("group_next_token", why));
        }
    } else {
        let why = match limit.parse::<i32>() {
            Ok(n) if n > 0 => "",
            Ok(_) => "group_limit needs to be greater than 0",
            Err(_) => "group_limit needs to be a valid number",
        };
        if !why.is_empty() {
            return Err(ApiError::parameter("group_limit", why));
        }
        if !token.is_empty() {
            let why = format!("invalid group_next_token '{token}'. were rule groups changed?");
            return Err(ApiError::parameter("group_next_token", why));
        }
    }
    Ok(success(|out| out.push_str("{\"groups\":[]}")))
}

/// Nothing is scraped, so there are no targets.
pub(crate) async fn targets(form: Form) -> Response {
    let state = form.get("state").to_lowercase();
    let dropped = matches!(&*state, "" | "any" | "dropped");
    success(|out| {
        out.push_str("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":");
        out.push_str(if dropped { "{}}" } else { "null}" });
    })
}

pub(crate) async fn target_metadata(form: Form) -> Reply {
    if !form.get("limit").is_empty() && integer(form.get("limit")).is_err() {
        return Err(ApiError::bad_data("limit must be a number"));
    }
    let target = form.get("match_target");
    if !target.is_empty() {
        parse_metric_selector(target).map_err(|e| ApiError::parameter("match_target", e))?;
    }
    // Empty, and then "metric" makes no difference.
    let _ = form.get("metric");
    Ok(success(|out| out.push_str("[]")))
}

/// There is no scrape pool of any name.
pub(crate) async fn scrape_pool_config(form: Form) -> Reply {
    let pool = form.get("scrapePool");
    if pool.is_empty() {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    }
    let why = format!("error retrieving scrape config: scrape pool {} not found", quote(pool));
    Err(ApiError::bad_data(why))
}

pub(crate) async fn relabel_steps(form: Form) -> Reply {
    if !form.get("scrapePool").is_empty() && form.get("labels").is_empty() {
        return Err(ApiError::bad_data("no labels parameter provided"));
    }
    scrape_pool_config(form).await
}

/// Nobody is ever notified of anything.
pub(crate) async fn no_notifications() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The routes that change Prometheus' storage, which it refuses by default.
pub(crate) async fn admin_disabled() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "unavailable", "admin APIs disabled")
}
