//! `/series`, `/labels`, `/label/<name>/values`, `/metadata`.

use std::sync::Arc;

use axum::extract::{RawPathParams, State};
use axum::response::Response;
use varve_promql::parse::quote;

use crate::json::{push_labels, push_list, push_string};
use crate::params::{Form, integer, label_name};
use crate::querier::{Answer, MetadataQuery, SeriesQuery};
use crate::query::TRUNCATED;
use crate::reply::{ApiError, answer, answer_list, success};
use crate::routes::QueryState;
use crate::tenant::Tenant;

type Reply = Result<Response, ApiError>;

/// What is asked of the querier: one more than the caller's limit, to know
/// whether something was cut off.
fn series_query(form: &Form) -> Result<(SeriesQuery, usize), ApiError> {
    let limit = form.limit()?;
    let range = form.range()?;
    let selectors = form.selectors().map_err(ApiError::bad_data)?;
    let asked = if limit == 0 { 0 } else { limit.saturating_add(1) };
    Ok((SeriesQuery { selectors, range, limit: asked }, limit))
}

fn cut<T>(answer: &mut Answer<Vec<T>>, limit: usize) {
    if limit > 0 && answer.value.len() > limit {
        answer.value.truncate(limit);
        answer.warnings.push(TRUNCATED.to_owned());
    }
}

fn strings(mut result: Answer<Vec<String>>, limit: usize) -> Response {
    cut(&mut result, limit);
    answer_list(result, ("", ""), |out, name| push_string(out, name))
}

pub(crate) async fn series(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    form.whole()?;
    if form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    form.limit()?;
    form.range()?;
    form.selectors().map_err(|e| ApiError::parameter("match[]", e))?;
    let (query, limit) = series_query(&form)?;
    let mut result = state.querier.series(tenant, query).await?;
    cut(&mut result, limit);
    Ok(answer_list(result, ("", ""), push_labels))
}

pub(crate) async fn labels(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let (query, limit) = series_query(&form)?;
    Ok(strings(state.querier.labels(tenant, query).await?, limit))
}

pub(crate) async fn label_values(
    State(state): State<Arc<QueryState>>,
    params: RawPathParams,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let name = params.iter().find(|(n, _)| *n == "name").map_or("", |(_, v)| v);
    let name = label_name(name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {}", quote(&name))));
    }
    let (query, limit) = series_query(&form)?;
    Ok(strings(state.querier.label_values(tenant, name, query).await?, limit))
}

pub(crate) async fn metadata(
    State(state): State<Arc<QueryState>>,
    Tenant(tenant): Tenant,
    form: Form,
) -> Reply {
    let number = |name: &str| match form.get(name) {
        "" => Ok(None),
        text => integer(text)
            .map(Some)
            .map_err(|_| ApiError::bad_data(format!("{name} must be a number"))),
    };
    let limit = number("limit")?;
    let per_metric = number("limit_per_metric")?.unwrap_or(0);
    if limit == Some(0) {
        // Unlike elsewhere 0 means none at all here, as in Prometheus.
        return Ok(success(|out| out.push_str("{}")));
    }
    let metric = Some(form.get("metric").to_owned()).filter(|m| !m.is_empty());
    // Negative is no limit.
    let at_most = |n: i64| usize::try_from(n).unwrap_or(0);
    let limit = at_most(limit.unwrap_or(0));
    let limit_per_metric = at_most(per_metric);
    let query = MetadataQuery { metric, limit, limit_per_metric };
    let result = state.querier.metadata(tenant, query).await?;
    Ok(answer(result, |out, metrics| {
        let most = if limit == 0 { usize::MAX } else { limit };
        let each = if limit_per_metric == 0 { usize::MAX } else { limit_per_metric };
        out.push('{');
        for (i, (name, entries)) in metrics.iter().take(most).enumerate() {
            if i > 0 {
                out.push(',');
            }
            push_string(out, name);
            out.push(':');
            push_list(out, entries.iter().take(each), |out, m| {
                out.push_str("{\"type\":");
                push_string(out, m.kind.as_str());
                out.push_str(",\"unit\":");
                push_string(out, &m.unit);
                out.push_str(",\"help\":");
                push_string(out, &m.help);
                out.push('}');
            });
        }
        out.push('}');
    }))
}
