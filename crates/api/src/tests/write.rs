//! Remote write.

use axum::body::Body;
use http::Request;

use super::{Got, fixture, send};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn write(path: &str, headers: &[(&str, &str)], body: &[u8]) -> (Got, String) {
    let (router, seen) = fixture();
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let got = send(&router, request.body(Body::from(body.to_vec())).unwrap()).await;
    (got, seen.last())
}

#[tokio::test]
async fn both_protocols_are_taken_on_every_path() {
    let cases = [
        ("/api/v1/write", V1, "anonymous write V1 2 bytes"),
        ("/api/v1/push", V2, "anonymous write V2 2 bytes"),
        (
            "/api/v1/receive",
            "application/x-protobuf; proto=prometheus.WriteRequest",
            "anonymous write V1 2 bytes",
        ),
        ("/tenant/t/api/v1/write", V2, "t write V2 2 bytes"),
    ];
    for (path, kind, want) in cases {
        let headers = [("content-type", kind), ("content-encoding", "snappy")];
        let (got, seen) = write(path, &headers, b"ok").await;
        assert_eq!((got.status.as_u16(), got.body.as_str(), seen.as_str()), (204, "", want));
        let written = |name: &str| {
            let name = format!("x-prometheus-remote-write-{name}-written");
            got.headers.get(name).map(|v| v.to_str().unwrap().to_owned())
        };
        let counts = (written("samples"), written("histograms"), written("exemplars"));
        let want = if want.contains("V2") {
            (Some("3".to_owned()), Some("2".to_owned()), Some("1".to_owned()))
        } else {
            (None, None, None)
        };
        assert_eq!(counts, want);
    }
    let (got, seen) = write("/api/v1/write", &[], b"ok").await;
    assert_eq!((got.status.as_u16(), seen.as_str()), (204, "anonymous write V1 2 bytes"));
}

#[tokio::test]
async fn the_writers_refusals_are_passed_on() {
    let (got, _) = write("/api/v1/write", &[("content-type", V2)], b"bad").await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (400, "out of order\n"));
    assert_eq!(got.headers["x-prometheus-remote-write-samples-written"], "3");
    let (got, _) = write("/api/v1/write", &[("content-type", V1)], b"busy").await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (503, "no leader\n"));
    assert_eq!(got.headers["retry-after"], "2");
}

#[tokio::test]
async fn a_body_without_room_is_refused_before_it_is_kept() {
    let (got, seen) = write("/api/v1/write", &[("content-type", V1)], &[0; 901]).await;
    let want = (503, "no room\n", "");
    assert_eq!((got.status.as_u16(), got.body.as_str(), seen.as_str()), want);
    assert_eq!(got.headers["retry-after"], "3");
    let (got, _) = write("/api/v1/write", &[("content-type", V1)], &[0; 900]).await;
    assert_eq!(got.status.as_u16(), 204);
}

#[tokio::test]
async fn what_is_not_remote_write_is_refused_before_it_is_read() {
    let long = vec![0; 1001];
    type Headers = [(&'static str, &'static str)];
    let cases: [(&Headers, &[u8], u16); 6] = [
        (&[("content-type", "application/json")], b"ok", 415),
        (&[("content-type", "application/x-protobuf;proto=other")], b"ok", 415),
        (&[("content-type", V1), ("content-encoding", "gzip")], b"ok", 415),
        (&[("content-type", V1)], &long, 413),
        (&[("content-type", V1), ("content-length", "99999999999")], b"ok", 413),
        (&[("content-type", V1), ("x-scope-orgid", "a|b")], b"ok", 400),
    ];
    for (headers, body, status) in cases {
        let (got, seen) = write("/api/v1/write", headers, body).await;
        assert_eq!((got.status.as_u16(), seen.as_str()), (status, ""), "{headers:?}");
        assert!(got.body.ends_with('\n') && got.body.len() > 10, "{}", got.body);
    }
}
