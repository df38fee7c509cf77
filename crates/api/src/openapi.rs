//! `/openapi.yaml`: the API described for machines.
//!
//! The document is written by hand (`openapi.yaml` beside this file); the
//! test here holds it against the router and the handlers.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

const DOCUMENT: &str = include_str!("openapi.yaml");

pub(crate) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/yaml; charset=utf-8")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use http::{Method, Request};
    use serde_json::Value;

    use super::*;
    use crate::tests::{fakes::fixture, send};

    /// The sources of all handlers.
    const HANDLERS: [&str; 6] = [
        include_str!("params.rs"),
        include_str!("query.rs"),
        include_str!("series.rs"),
        include_str!("status/mod.rs"),
        include_str!("tree.rs"),
        include_str!("ops.rs"),
    ];

    fn parsed() -> Value {
        serde_saphyr::from_str(DOCUMENT).expect("is YAML")
    }

    /// The texts between `before` and the next quote.
    fn quoted<'a>(source: &'a str, before: &str) -> BTreeSet<&'a str> {
        source.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn it_names_every_route_and_no_other() {
        let document = parsed();
        let paths = document["paths"].as_object().expect("an object");
        let named: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
        let routes = include_str!("routes.rs").split("let api = api.fallback").collect::<Vec<_>>();
        let (before, after) =
            (routes[0], routes[1].split("fn query_routes").nth(1).expect("is there"));
        let mut served = quoted(before, ".route(\"");
        served.extend(quoted(after, ".route(\""));
        assert_eq!(named, served);
    }

    #[tokio::test]
    async fn every_operation_is_served() {
        let document = parsed();
        for (path, operations) in document["paths"].as_object().expect("an object") {
            let of = |m: &Method| operations.get(m.as_str().to_lowercase()).is_some();
            for method in [Method::GET, Method::POST, Method::PUT] {
                let (router, _) = fixture();
                let uri = format!("/api/v1{}", path.replace("{name}", "job"));
                let request = Request::builder().method(method.clone()).uri(uri);
                let got = send(&router, request.body(Body::empty()).expect("valid")).await;
                let served = !matches!(got.status.as_u16(), 404 | 405);
                assert_eq!(served, of(&method), "{method} {path}: {}", got.status);
            }
        }
    }

    #[test]
    fn it_names_every_parameter_and_no_other() {
        let document = parsed();
        let parameters = document["components"]["parameters"].as_object().expect("an object");
        let named: BTreeSet<&str> =
            parameters.values().filter_map(|p| p["name"].as_str()).collect();
        let mut read = BTreeSet::new();
        for source in HANDLERS {
            for before in [
                "get(\"",
                "self.time(\"",
                "form.time(\"",
                "all(\"",
                "number(\"",
                "time(\"",
                "flag(\"",
            ] {
                read.extend(quoted(source.split("mod tests").next().expect("some"), before));
            }
        }
        assert_eq!(named, read);
    }
}
