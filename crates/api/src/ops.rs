//! The routes of operators: readiness, metrics, configuration, shipping.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus::{Encoder, TextEncoder};

use crate::json::{push_list, push_string};
use crate::reply::{ApiError, success};
use crate::routes::AdminState;

pub(crate) async fn healthy() -> &'static str {
    "Varve is healthy.\n"
}

pub(crate) async fn ready(State(state): State<Arc<AdminState>>) -> Response {
    match state.admin.ready().await {
        Ok(()) => "Varve is ready.\n".into_response(),
        Err(waiting) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {waiting}\n")).into_response()
        }
    }
}

pub(crate) async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    match encoder.encode(&state.registry.gather(), &mut body) {
        Ok(()) => {
            let kind = encoder.format_type().to_owned();
            ([(CONTENT_TYPE, kind)], body).into_response()
        }
        Err(e) => {
            let message = format!("metrics cannot be encoded: {e}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
    }
}

pub(crate) async fn config(State(state): State<Arc<AdminState>>) -> Response {
    ([(CONTENT_TYPE, "application/yaml; charset=utf-8")], state.admin.config_yaml()).into_response()
}

pub(crate) async fn ship(State(state): State<Arc<AdminState>>) -> Result<Response, ApiError> {
    let blocks = state.admin.ship().await?;
    Ok(success(|out| {
        out.push_str("{\"blocks\":");
        push_list(out, &blocks, |out, id| push_string(out, id));
        out.push('}');
    }))
}
