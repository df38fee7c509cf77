//! Operating the process, and what all answers have in common.

use std::io::{Read, Write};

use axum::body::Body;
use http::Request;

use super::{fixture, get, ok, send};

#[tokio::test]
async fn operators_see_the_process() {
    let (router, seen) = fixture();
    let got = get(&router, "/-/ready").await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (503, "not ready: replaying the log\n"));
    let ship = Request::post("/api/v1/admin/ship").body(Body::empty()).unwrap();
    let got = send(&router, ship).await;
    assert_eq!((got.body, seen.last().as_str()), (ok("{\"blocks\":[\"01J\"]}"), "ship"));
    let got = get(&router, "/-/ready").await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (200, "Varve is ready.\n"));
    assert_eq!(get(&router, "/-/healthy").await.status.as_u16(), 200);
    assert_eq!(get(&router, "/api/v1/admin/ship").await.status.as_u16(), 405);
    let got = get(&router, "/config").await;
    assert_eq!(got.body, "bucket: memory://\nsecret: <secret>\n");
    get(&router, "/tenant/a/api/v1/query?query=up").await;
    get(&router, "/no/such/path").await;
    let got = get(&router, "/metrics").await;
    let counted = "varve_api_requests_total{method=\"GET\",route=\"/tenant/{tenant}/api/v1/query\",status=\"200\"} 1";
    assert!(got.body.contains(counted), "{}", got.body);
    assert!(!got.body.contains("no/such"), "{}", got.body);
}

#[tokio::test]
async fn what_is_not_there_is_truthfully_empty() {
    let (router, _) = fixture();
    let cases = [
        ("rules", "{\"groups\":[]}"),
        ("alerts", "{\"alerts\":[]}"),
        ("alertmanagers", "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"),
        ("status/flags", "{}"),
        ("status/config", "{\"yaml\":\"bucket: memory://\\nsecret: <secret>\\n\"}"),
    ];
    for (path, want) in cases {
        assert_eq!(get(&router, &format!("/api/v1/{path}")).await.body, ok(want), "{path}");
    }
    let got = get(&router, "/api/v1/status/buildinfo").await;
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["data"]["version"], "3.15.0");
    assert_eq!(body["data"]["varveVersion"], "9.9.9");
    assert_eq!(body["data"]["revision"], "abc");
}

#[tokio::test]
async fn pages_of_other_origins_may_ask() {
    let (router, seen) = fixture();
    let preflight = Request::options("/api/v1/query").header("origin", "http://g");
    let got = send(&router, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!((got.status.as_u16(), seen.count()), (204, 0));
    assert_eq!(got.headers["access-control-allow-origin"], "*");
    let got = get(&router, "/api/v1/labels").await;
    assert!(!got.headers.contains_key("access-control-allow-origin"));
    assert!(got.headers.get_all("vary").iter().any(|v| v == "Origin"));
}

#[tokio::test]
async fn bodies_may_be_compressed_both_ways() {
    let (router, seen) = fixture();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"query=up&time=7").unwrap();
    let request = Request::post("/api/v1/query")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("content-encoding", "gzip")
        .header("accept-encoding", "gzip")
        .body(Body::from(gzip.finish().unwrap()))
        .unwrap();
    let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
    assert!(seen.last().contains("instant up at 7000"), "{}", seen.last());
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert!(text.starts_with("{\"status\":\"success\""), "{text}");
}

#[tokio::test]
async fn forms_that_are_too_large_or_not_forms_are_refused() {
    let (router, seen) = fixture();
    let form = |encoding: &str, body: Vec<u8>| {
        Request::post("/api/v1/query")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-encoding", encoding)
            .body(Body::from(body))
            .unwrap()
    };
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&vec![b'a'; 11 << 20]).unwrap();
    let cases = [
        (form("", vec![b'a'; 11 << 20]), 413),
        (form("gzip", bomb.finish().unwrap()), 413),
        (form("gzip", b"plain".to_vec()), 400),
        (form("br", b"query=up".to_vec()), 415),
    ];
    for (request, status) in cases {
        assert_eq!(send(&router, request).await.status.as_u16(), status);
    }
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn a_server_answers_and_stops() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (router, _) = fixture();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(crate::serve(listener, router, async {
        let _ = stopped.await;
    }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("Varve is healthy.\n"), "{text}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
