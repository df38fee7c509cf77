//! A reader: requests of remote read, and both forms of their answers as the
//! same values.

use std::collections::BTreeMap;

use prost::Message;
use varve_tsdb::{Chunk, Decoded, Encoding};
use varve_wire::prompb::{self, v1};

/// The response types of a request.
pub const SAMPLES: i32 = 0;
/// See [`SAMPLES`].
pub const STREAMED: i32 = 1;

/// An answer as bytes.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status; 0 when the answer broke off.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A series' samples: floats as bits, histograms as messages whose hint says
/// gauge or nothing, both by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Floats by time.
    pub floats: BTreeMap<i64, u64>,
    /// Histograms by time.
    pub histograms: BTreeMap<i64, String>,
}

/// Samples by the series' labels.
pub type Read = BTreeMap<String, Samples>;

/// A matcher `name=~"pattern"`.
pub fn matcher(name: &str, pattern: &str) -> v1::LabelMatcher {
    let r#type = v1::label_matcher::Type::Re as i32;
    v1::LabelMatcher { r#type, name: name.to_owned(), value: pattern.to_owned() }
}

/// A request body: one query over `[start, end]`, milliseconds.
pub fn request(
    accepted: &[i32],
    matchers: Vec<v1::LabelMatcher>,
    (start_timestamp_ms, end_timestamp_ms): (i64, i64),
) -> Vec<u8> {
    let query = v1::Query { start_timestamp_ms, end_timestamp_ms, matchers, hints: None };
    let accepted_response_types = accepted.to_vec();
    prompb::compress(&v1::ReadRequest { queries: vec![query], accepted_response_types })
}

/// Posts bytes and takes bytes.
pub fn post(url: &str, body: Vec<u8>, user: Option<&str>) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut request = crate::http::client().post(url).body(body);
    if let Some(user) = user {
        request = request.basic_auth(user, Some("secret"));
    }
    let exchange = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let body = response.bytes().await?.to_vec();
        Ok::<_, reqwest::Error>(Answer { status, content_type, body })
    };
    runtime.expect("build a runtime").block_on(exchange).unwrap_or_else(|e| Answer {
        status: 0,
        content_type: String::new(),
        body: format!("{e:?}").into_bytes(),
    })
}

/// Reads either form of answer.
pub fn decode(answer: &Answer) -> Read {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 200, "{text}");
    let mut read = match answer.content_type.as_str() {
        "application/x-protobuf" => samples(&answer.body),
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse" => {
            streamed(&frames(&answer.body))
        }
        other => panic!("content type {other:?}"),
    };
    // Prometheus names series that it finds no sample of.
    read.retain(|_, s| *s != Samples::default());
    read
}

fn samples(body: &[u8]) -> Read {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("a snappy block");
    let answer = v1::ReadResponse::decode(&*plain).expect("a ReadResponse");
    let mut read = Read::new();
    for series in answer.results.iter().flat_map(|r| &r.timeseries) {
        let into = read.entry(labels(&series.labels)).or_default();
        for s in &series.samples {
            into.floats.insert(s.timestamp, s.value.to_bits());
        }
        for h in &series.histograms {
            into.histograms.insert(h.timestamp, shown(h.clone()));
        }
    }
    read
}

/// The messages of a streamed body; their checksums are right.
pub fn frames(body: &[u8]) -> Vec<v1::ChunkedReadResponse> {
    let (mut rest, mut all) = (body, Vec::new());
    while !rest.is_empty() {
        let len = prost::decode_length_delimiter(rest).expect("a frame's length");
        let (header, after) = rest.split_at(prost::length_delimiter_len(len) + 4);
        let (message, next) = after.split_at(len);
        let sum = crc32c::crc32c(message).to_be_bytes();
        assert_eq!(header[header.len() - 4..], sum, "checksum of frame {}", all.len());
        all.push(v1::ChunkedReadResponse::decode(message).expect("a ChunkedReadResponse"));
        rest = next;
    }
    all
}

fn streamed(frames: &[v1::ChunkedReadResponse]) -> Read {
    let mut read = Read::new();
    for frame in frames {
        let [series] = &frame.chunked_series[..] else { panic!("one series a frame") };
        let into = read.entry(labels(&series.labels)).or_default();
        for c in &series.chunks {
            let encoding = Encoding::from_number(c.r#type).expect("a stock encoding");
            let (min_time, max_time) = (c.min_time_ms, c.max_time_ms);
            let chunk = Chunk { encoding, min_time, max_time, data: c.data.clone() };
            match chunk.decode().expect("a chunk") {
                Decoded::Floats(f) => {
                    let bits = f.values.iter().map(|v| v.to_bits());
                    into.floats.extend(f.times.iter().copied().zip(bits));
                }
                Decoded::Histograms(h) => {
                    for (t, h) in h.times.iter().zip(&h.values) {
                        into.histograms.insert(*t, shown(prompb::histogram_v1(h, *t)));
                    }
                }
            }
        }
    }
    read
}

fn labels(labels: &[v1::Label]) -> String {
    labels.iter().map(|l| format!("{}={:?},", l.name, l.value)).collect()
}

/// Hints depend on where chunks were cut; only that of a gauge is data.
fn shown(mut h: v1::Histogram) -> String {
    if h.reset_hint != v1::histogram::ResetHint::Gauge as i32 {
        h.reset_hint = 0;
    }
    format!("{h:?}")
}
