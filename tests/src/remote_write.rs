//! A sender of our own: small remote-write 1.0 requests, and whatever else a
//! test wants to put on the wire.

use varve_wire::prompb::v1::{Label, Sample, TimeSeries, WriteRequest};

use crate::http::{self, Response};

/// One series with float samples `(milliseconds, value)`.
pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let mut labels: Vec<Label> = labels
        .iter()
        .map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let samples =
        samples.iter().map(|(timestamp, value)| Sample { timestamp: *timestamp, value: *value });
    TimeSeries { labels, samples: samples.collect(), ..TimeSeries::default() }
}

/// The body of a 1.0 request: protobuf in one snappy block.
pub fn body(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    compress(&prost::Message::encode_to_vec(&request))
}

/// One snappy block.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("compress")
}

/// Sends a body as remote write 1.0.
pub fn send(url: &str, tenant: &str, body: Vec<u8>) -> Response {
    send_as(url, tenant, "application/x-protobuf", body)
}

/// Sends a body with a content type.
pub fn send_as(url: &str, tenant: &str, content_type: &str, body: Vec<u8>) -> Response {
    let request = http::client()
        .post(url)
        .header("Content-Type", content_type)
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .header("X-Scope-OrgID", tenant)
        .body(body);
    http::send(request)
}
