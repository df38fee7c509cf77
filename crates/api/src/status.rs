//! What the API says of the server: build, rules, alerts, targets. What
//! Varve does not do is answered truthfully with empty lists.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::json::push_string;
use crate::reply::success;
use crate::routes::{AdminState, BuildInfo};

/// The Prometheus whose language and API this is: clients decide by it what
/// they may ask.
const PROMETHEUS_VERSION: &str = "3.15.0";

pub(crate) async fn build_info(State(build): State<Arc<BuildInfo>>) -> Response {
    success(|out| {
        let fields = [
            ("application", "Varve"),
            ("version", PROMETHEUS_VERSION),
            ("varveVersion", &build.version),
            ("revision", &build.revision),
            ("branch", ""),
            ("buildUser", ""),
            ("buildDate", ""),
            ("goVersion", ""),
        ];
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
    })
}

pub(crate) async fn rules() -> Response {
    success(|out| out.push_str("{\"groups\":[]}"))
}

pub(crate) async fn alerts() -> Response {
    success(|out| out.push_str("{\"alerts\":[]}"))
}

pub(crate) async fn alertmanagers() -> Response {
    success(|out| out.push_str("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"))
}

pub(crate) async fn targets() -> Response {
    success(|out| {
        out.push_str("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
    })
}

pub(crate) async fn config(State(state): State<Arc<AdminState>>) -> Response {
    let yaml = state.admin.config_yaml();
    success(|out| {
        out.push_str("{\"yaml\":");
        push_string(out, &yaml);
        out.push('}');
    })
}

pub(crate) async fn flags() -> Response {
    success(|out| out.push_str("{}"))
}
