//! Remote read: what is answered in which form, and what is refused.

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use prost::Message;
use tower::ServiceExt;
use varve_tsdb::{Chunk, Decoded, Encoding};
use varve_wire::prompb::{compress, v1};

use super::{Got, fixture, send};

fn request(accepted: &[i32], names: &[&str]) -> Vec<u8> {
    let matcher = |name: &&str| v1::LabelMatcher {
        r#type: 0,
        name: "__name__".to_owned(),
        value: (*name).to_owned(),
    };
    let matchers = names.iter().map(matcher).collect();
    let query =
        v1::Query { start_timestamp_ms: 1000, end_timestamp_ms: 9000, matchers, hints: None };
    let accepted_response_types = accepted.to_vec();
    compress(&v1::ReadRequest { queries: vec![query], accepted_response_types })
}

async fn read(body: Vec<u8>) -> (Got, Vec<u8>, String) {
    let (router, seen) = fixture();
    let request = Request::post("/tenant/t/api/v1/read").body(Body::from(body)).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    (Got { status: parts.status, headers: parts.headers, body }, bytes, seen.last())
}

#[tokio::test]
async fn samples_are_one_message() {
    let (got, bytes, seen) = read(request(&[], &["a"])).await;
    assert_eq!((got.status, seen.as_str()), (StatusCode::OK, "t read [__name__=\"a\"] 999 9000"));
    assert_eq!(got.headers["content-type"], "application/x-protobuf");
    assert_eq!(got.headers["content-encoding"], "snappy");
    let plain = varve_wire::remote_write::decompress(&bytes, 1 << 20).unwrap();
    let answer = v1::ReadResponse::decode(&*plain).unwrap();
    let [series] = &answer.results[0].timeseries[..] else { panic!("one series") };
    assert_eq!((series.samples.len(), series.histograms.len()), (400, 1));
    assert_eq!((series.samples[7].timestamp, series.samples[7].value), (7000, 7_f64.sin()));
    let (got, bytes, _) = read(compress(&v1::ReadRequest::default())).await;
    assert_eq!((got.status, bytes), (StatusCode::OK, vec![0]));
}

#[tokio::test]
async fn chunks_are_frames_of_one_series() {
    let (got, bytes, _) = read(request(&[9, 1, 0], &["a", "b"])).await;
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(
        (got.status, got.headers["content-type"].as_bytes()),
        (StatusCode::OK, kind.as_bytes())
    );
    assert!(!got.headers.contains_key("content-encoding"));
    let (mut rest, mut samples, mut names) = (&bytes[..], 0, Vec::new());
    while !rest.is_empty() {
        let len = prost::decode_length_delimiter(rest).unwrap();
        let at = prost::length_delimiter_len(len);
        let message = &rest[at + 4..at + 4 + len];
        assert_eq!(rest[at..at + 4], crc32c::crc32c(message).to_be_bytes());
        rest = &rest[at + 4 + len..];
        let answer = v1::ChunkedReadResponse::decode(message).unwrap();
        let [series] = &answer.chunked_series[..] else { panic!("one series a frame") };
        names.push(series.labels[0].value.clone());
        for c in &series.chunks {
            let encoding = Encoding::from_number(c.r#type).unwrap();
            let (min_time, max_time, data) = (c.min_time_ms, c.max_time_ms, c.data.clone());
            let chunk = Chunk { encoding, min_time, max_time, data };
            samples += match chunk.decode().unwrap() {
                Decoded::Floats(f) => f.len(),
                Decoded::Histograms(h) => h.len(),
            };
        }
    }
    assert_eq!(samples, 2 * 401);
    // Frames are full at 300 bytes.
    assert!(names.iter().filter(|n| *n == "a").count() >= 4, "{names:?}");
    assert!(names.is_sorted());
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let cases = [
        (request(&[], &["a", "b"]), 400, "exceeded sample limit (500)"),
        (request(&[5], &["a"]), 400, "none of the accepted response types [5]"),
        (request(&[1], &["err_execution"]), 422, "err_execution"),
        (request(&[], &["err_unavailable"]), 503, "err_unavailable"),
        (request(&[], &["broken"]), 422, "broken"),
        (b"\xff\xff\xff\xff\x0f".to_vec(), 413, "limit of 33554432 bytes once decompressed"),
        (b"nonsense".to_vec(), 400, "not a snappy block"),
    ];
    for (body, status, want) in cases {
        let (got, _, _) = read(body).await;
        assert_eq!(got.status.as_u16(), status, "{}", got.body);
        assert!(got.body.contains(want) && got.body.ends_with('\n'), "{}", got.body);
    }
    let (router, _) = fixture();
    let gzip = Request::post("/api/v1/read").header("content-encoding", "gzip");
    let got = send(&router, gzip.body(Body::empty()).unwrap()).await;
    assert_eq!(got.status.as_u16(), 415);
}

#[tokio::test]
async fn a_stream_that_fails_does_not_look_finished() {
    let (router, _) = fixture();
    let body = Body::from(request(&[1], &["a", "broken"]));
    let request = Request::post("/api/v1/read").body(body).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(to_bytes(response.into_body(), 1 << 20).await.is_err());
}
