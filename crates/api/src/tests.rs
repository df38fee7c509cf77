//! The routes, driven through the router with fakes behind them.

pub(crate) mod fakes;
mod ops;
mod query;
mod read;
mod series;
mod tenant;
mod write;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;

use fakes::fixture;

/// An answer as a client sees it.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Got {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Got { status: parts.status, headers: parts.headers, body }
}

async fn get(router: &Router, uri: &str) -> Got {
    send(router, Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn post_form(router: &Router, uri: &str, form: &str) -> Got {
    let request = Request::post(uri)
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Body::from(form.to_owned()))
        .unwrap();
    send(router, request).await
}

/// The error part of the envelope.
fn error(kind: &str, message: &str) -> String {
    let message = serde_json::to_string(message).unwrap();
    format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":{message}}}")
}

fn ok(data: &str) -> String {
    format!("{{\"status\":\"success\",\"data\":{data}}}")
}
