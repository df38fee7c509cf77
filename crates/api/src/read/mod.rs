//! Remote read: `POST /read`, as Prometheus, Thanos' sidecar and other
//! readers send it.
//!
//! The answer is either [`samples`], one message, or [`chunks`], a stream of
//! frames. Errors are plain text, as readers log them. Next:
//! [`crate::Querier::read`].

mod buffer;
mod chunks;
mod samples;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use varve_wire::prompb::v1::read_request::ResponseType;
use varve_wire::remote_read::ReadRequest;
use varve_wire::remote_write::decompress;

use crate::params::read_body;
use crate::reply::ApiError;
use crate::routes::QueryState;
use crate::tenant::Tenant;

/// The largest request, in bytes, as sent and decompressed (Prometheus' limit).
const MAX_REQUEST: usize = 32 << 20;

pub(crate) async fn read(
    State(state): State<Arc<QueryState>>,
    tenant: Result<Tenant, ApiError>,
    request: Request,
) -> Response {
    match answer(&state, tenant, request).await {
        Ok(response) => response,
        Err(e) => e.into_text(),
    }
}

async fn answer(
    state: &QueryState,
    tenant: Result<Tenant, ApiError>,
    request: Request,
) -> Result<Response, ApiError> {
    let Tenant(tenant) = tenant?;
    let (parts, body) = request.into_parts();
    let asked = decode(&parts.headers, body).await?;
    match asked.response {
        ResponseType::Samples => samples::answer(state, tenant, asked.queries).await,
        ResponseType::StreamedXorChunks => chunks::answer(state, tenant, asked.queries).await,
    }
}

async fn decode(headers: &HeaderMap, body: Body) -> Result<ReadRequest, ApiError> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"snappy") => {}
        Some(other) => {
            return Err(ApiError::unsupported(format!(
                "content encoding {:?} is not supported, use snappy",
                String::from_utf8_lossy(other)
            )));
        }
    }
    let bytes = read_body(headers, body, MAX_REQUEST).await?;
    let plain = decompress(&bytes, MAX_REQUEST).map_err(|e| match e.is_too_large() {
        true => ApiError::too_large(MAX_REQUEST, " once decompressed"),
        false => ApiError::bad_data(e.to_string()),
    })?;
    ReadRequest::decode(&plain).map_err(|e| ApiError::bad_data(e.to_string()))
}
