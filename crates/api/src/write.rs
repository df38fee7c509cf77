//! Remote write 1.0 and 2.0: `/write`, `/push`, `/receive`.
//!
//! Answers are plain text, as senders log them. Next: [`crate::Writer`].

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::arrive::arrive;
use crate::reply::ApiError;
use crate::routes::WriteState;
use crate::tenant::Tenant;
use crate::writer::{Protocol, WriteReply, WriteRequest};

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

pub(crate) async fn write(
    State(state): State<Arc<WriteState>>,
    tenant: Result<Tenant, ApiError>,
    request: Request,
) -> Response {
    match accept(&state, tenant, request).await {
        Ok(response) => response,
        Err(e) => e.into_text(),
    }
}

async fn accept(
    state: &WriteState,
    tenant: Result<Tenant, ApiError>,
    request: Request,
) -> Result<Response, ApiError> {
    let Tenant(tenant) = tenant?;
    let (parts, body) = request.into_parts();
    let protocol = protocol(&parts.headers)?;
    check_encoding(&parts.headers)?;
    let mut room = state.writer.room(&tenant);
    let reply = match arrive(&parts.headers, body, state.max_body, &mut *room).await? {
        Ok(body) => {
            let request = WriteRequest { protocol, body };
            state.writer.write(tenant, request, &mut *room).await
        }
        Err(refused) => refused,
    };
    Ok(respond(protocol, reply))
}

/// Which message the content type names; none at all is version 1.
fn protocol(headers: &HeaderMap) -> Result<Protocol, ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Protocol::V1) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let refuse = || {
        ApiError::unsupported(format!(
            "content type {text:?} is not supported, use application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
        ))
    };
    let mut parts = text.split(';').map(str::trim);
    if !parts.next().is_some_and(|t| t.eq_ignore_ascii_case("application/x-protobuf")) {
        return Err(refuse());
    }
    for part in parts {
        if let Some((name, value)) = part.split_once('=')
            && name.trim().eq_ignore_ascii_case("proto")
        {
            return match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Ok(Protocol::V1),
                "io.prometheus.write.v2.Request" => Ok(Protocol::V2),
                _ => Err(refuse()),
            };
        }
    }
    Ok(Protocol::V1)
}

/// Both versions compress with snappy's block format; saying so is optional.
fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"snappy") => Ok(()),
        Some(other) => Err(ApiError::unsupported(format!(
            "content encoding {:?} is not supported, use snappy",
            String::from_utf8_lossy(other)
        ))),
    }
}

fn respond(protocol: Protocol, reply: WriteReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if status.is_success() {
        (StatusCode::NO_CONTENT, Body::empty()).into_response()
    } else {
        (status, reply.message + "\n").into_response()
    };
    let headers = response.headers_mut();
    if protocol == Protocol::V2 {
        let counts = [
            (SAMPLES, reply.samples),
            (HISTOGRAMS, reply.histograms),
            (EXEMPLARS, reply.exemplars),
        ];
        for (name, count) in counts {
            headers.insert(name, HeaderValue::from(count));
        }
    }
    if let Some(after) = reply.retry_after {
        // Whole seconds, at least one: 0 would be taken for none.
        let seconds = after.as_millis().div_ceil(1000).clamp(1, u128::from(u32::MAX)) as u64;
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
