//! `/query`, `/query_range`, `/query_exemplars`, `/format_query`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varve_model::{ErrorKind, TenantId, TimeRange};
use varve_promql::parse::{parse_expr, quote};
use varve_promql::print::pretty;
use varve_promql::value::QueryValue;

use crate::json::{
    push_float, push_labels, push_list, push_sample, push_scalar, push_series, push_string,
    push_text, push_time,
};
use crate::params::{Form, parse_duration_ns, parse_time};
use crate::plan::render;
use crate::querier::{Answer, InstantQuery, Query, QueryError, RangeQuery, Stats};
use crate::reply::{ApiError, answer, answer_list, success};
use crate::routes::QueryState;
use crate::tenant::Tenant;

/// Most steps of a range query.
const MAX_STEPS: i128 = 11_000;

pub(crate) const TRUNCATED: &str = "results truncated due to limit";

type Reply = Result<Response, ApiError>;

pub(crate) async fn instant(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let limit = form.limit()?;
    let time = match form.time("time") {
        Ok(time) => time.unwrap_or_else(|| state.clock.now_ms()),
        Err(e) => return Err(e),
    };
    let timeout = timeout(&form)?;
    let query = query(&state, &form, timeout)?;
    if form.flag("explain")? && !query.analyze {
        return explain(&state, tenant, RangeQuery { query, start: time, end: time, step: 0 })
            .await;
    }
    let asked = InstantQuery { query, time };
    let result = state.querier.instant(tenant, asked).await.map_err(refused)?;
    Ok(respond(result, limit, &form))
}

pub(crate) async fn range(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let limit = form.limit()?;
    let time = |name: &str| parse_time(form.get(name)).map_err(|e| ApiError::parameter(name, e));
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = parse_duration_ns(form.get("step")).map_err(|e| ApiError::parameter("step", e))?;
    let too_small = || {
        ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        )
    };
    if step <= 0 {
        return Err(too_small());
    }
    if i128::from(end.saturating_sub(start)) * 1_000_000 / i128::from(step) > MAX_STEPS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    // Steps are whole milliseconds.
    let step = step / 1_000_000;
    if step == 0 {
        return Err(too_small());
    }
    let timeout = timeout(&form)?;
    let query = query(&state, &form, timeout)?;
    let range = RangeQuery { query, start, end, step };
    if form.flag("explain")? && !range.query.analyze {
        return explain(&state, tenant, range).await;
    }
    let result = state.querier.range(tenant, range).await.map_err(refused)?;
    Ok(respond(result, limit, &form))
}

/// The plan in place of an answer. (`analyze` shows it beside one.)
async fn explain(state: &QueryState, tenant: TenantId, query: RangeQuery) -> Reply {
    let plan = state.querier.explain(tenant, query).await.map_err(refused)?;
    Ok(answer(plan, |out, plan| {
        out.push_str("{\"explain\":");
        out.push_str(&render(&plan).to_string());
        out.push('}');
    }))
}

/// What the engine finds wrong with an expression is said of the parameter.
fn refused(e: QueryError) -> ApiError {
    match e.kind {
        ErrorKind::Invalid => ApiError::parameter("query", e.message),
        _ => e.into(),
    }
}

/// `timeout`; that of zero and less is over at once.
fn timeout(form: &Form) -> Result<Option<Duration>, ApiError> {
    match form.get("timeout") {
        "" => Ok(None),
        text => {
            let ns = parse_duration_ns(text).map_err(|e| ApiError::parameter("timeout", e))?;
            Ok(Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(0))))
        }
    }
}

/// The expression and the options that both kinds of query have.
fn query(state: &QueryState, form: &Form, timeout: Option<Duration>) -> Result<Query, ApiError> {
    let lookback = match form.get("lookback_delta") {
        "" => None,
        text => {
            let ns = parse_duration_ns(text).map_err(|e| {
                ApiError::bad_data(format!("error parsing lookback delta duration: {e}"))
            })?;
            // Zero and less mean the configured one.
            u64::try_from(ns).ok().filter(|ns| *ns > 0).map(Duration::from_nanos)
        }
    };
    let text = form.get("query").to_owned();
    let expr = parse_expr(&text, &state.querier.parse_options())
        .map_err(|e| ApiError::parameter("query", e))?;
    if timeout == Some(Duration::ZERO) {
        let late = "query timed out in query execution";
        return Err(QueryError::new(ErrorKind::Timeout, late).into());
    }
    let stats = match form.get("stats") {
        "" => Stats::None,
        "all" => Stats::All,
        _ => Stats::Sums,
    };
    let analyze = form.flag("analyze")?;
    Ok(Query { text, expr, timeout, lookback, stats, analyze })
}

fn respond(mut result: Answer<QueryValue>, limit: usize, form: &Form) -> Response {
    if limit > 0 && result.value.series() > limit {
        match &mut result.value {
            QueryValue::Vector(v) => v.truncate(limit),
            QueryValue::Matrix(m) => m.truncate(limit),
            QueryValue::Scalar { .. } | QueryValue::String { .. } => {}
        }
        result.warnings.push(TRUNCATED.to_owned());
    }
    let stats = form.get("stats");
    if !matches!(stats, "" | "true" | "all") {
        result.warnings.push(format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"",
            quote(stats)
        ));
    }
    let kind = result.value.value_type();
    let open = format!("{{\"resultType\":\"{}\",\"result\":", kind.as_str());
    let mut close = String::new();
    let analysis = result.analysis.take().map(|plan| render(&plan));
    for (name, value) in [("stats", result.stats.take()), ("analysis", analysis)] {
        if let Some(value) = value {
            close.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    close.push('}');
    let around = (&*open, &*close);
    let (value, rest) = result.take();
    match value {
        QueryValue::Vector(v) => answer_list(rest.with(v), around, push_sample),
        QueryValue::Matrix(m) => answer_list(rest.with(m), around, push_series),
        QueryValue::Scalar { time_ms, value } => answer(rest, |out, ()| {
            out.push_str(around.0);
            push_scalar(out, time_ms, value);
            out.push_str(around.1);
        }),
        QueryValue::String { time_ms, value } => answer(rest, |out, ()| {
            out.push_str(around.0);
            push_text(out, time_ms, &value);
            out.push_str(around.1);
        }),
    }
}

pub(crate) async fn exemplars(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let range = form.range()?.unwrap_or(TimeRange { start: i64::MIN, end: i64::MAX });
    // The range is left-open: start itself belongs to it.
    if range.end < range.start.saturating_add(1) {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = parse_expr(form.get("query"), &state.querier.parse_options())
        .map_err(|e| ApiError::bad_data(e.to_string()))?;
    let selectors: Vec<_> = expr.selectors().iter().map(|s| s.matchers.clone()).collect();
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let result = state.querier.exemplars(tenant, selectors, range).await?;
    Ok(answer(result, |out, series| {
        push_list(out, &series, |out, s| {
            out.push_str("{\"seriesLabels\":");
            push_labels(out, &s.labels);
            out.push_str(",\"exemplars\":");
            push_list(out, &s.exemplars, |out, e| {
                out.push_str("{\"labels\":");
                push_labels(out, &e.labels);
                out.push_str(",\"value\":");
                push_float(out, e.value);
                out.push_str(",\"timestamp\":");
                push_time(out, e.timestamp);
                out.push('}');
            });
            out.push('}');
        });
    }))
}

pub(crate) async fn format(State(state): State<Arc<QueryState>>, form: Form) -> Reply {
    let expr = parse_expr(form.get("query"), &state.querier.parse_options())
        .map_err(|e| ApiError::parameter("query", e))?;
    Ok(success(|out| push_string(out, &pretty(&expr))))
}
