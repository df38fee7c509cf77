//! What every request passes through: metrics, calls from other origins, and
//! a panic that is an answer.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};
use varve_runtime::Clock;

use crate::metrics::Metrics;
use crate::reply::ApiError;

/// What [`measure`] needs.
pub(crate) struct Measure {
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) async fn measure(
    State(state): State<Arc<Measure>>,
    request: Request,
    next: Next,
) -> Response {
    // Unmatched paths and odd methods share one series each: senders choose them.
    let route = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    };
    let started = state.clock.monotonic();
    let response = next.run(request).await;
    let took = state.clock.monotonic().saturating_duration_since(started);
    let route = route.as_deref().unwrap_or("none");
    state.metrics.answered(route, method, response.status().as_u16(), took);
    response
}

/// Lets pages of other origins call the API, as Prometheus does by default.
pub(crate) async fn cross_origin(request: Request, next: Next) -> Response {
    let from_page = request.headers().contains_key(ORIGIN);
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if from_page {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Authorization, Content-Type, Origin, X-Scope-OrgID",
            ),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "Date, X-Varve-Coverage"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(panic = what, "a request handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error").into_response()
}
