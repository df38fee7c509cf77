//! What Prometheus senders say, generated, with conversions from the model:
//! for tests, load generators and whoever forwards samples.
//!
//! A server does not decode with these (see `remote_write`): they copy every
//! label of every series.

use std::collections::HashMap;

use varve_model::{Counts, Exemplar, Histogram, Labels, Metadata, Series};

/// Remote write 1.0 (`proto/prometheus`).
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("prometheus");
}

/// Remote write 2.0 (`proto/io/prometheus/write/v2`).
#[allow(missing_docs, clippy::all)]
pub mod v2 {
    tonic::include_proto!("io.prometheus.write.v2");
}

/// The message of a request as one Snappy block, as it stands in a body.
pub fn compress(message: &impl prost::Message) -> Vec<u8> {
    let plain = message.encode_to_vec();
    // Only blocks of 4 GiB are refused, and no message encodes to one.
    snap::raw::Encoder::new().compress_vec(&plain).unwrap_or_default()
}

/// A 1.0 request; start timestamps are lost.
pub fn request_v1(series: &[Series]) -> v1::WriteRequest {
    v1::WriteRequest {
        timeseries: series.iter().map(|s| series_v1(s, &[])).collect(),
        metadata: Vec::new(),
    }
}

/// One 1.0 series; start timestamps are lost.
pub fn series_v1(series: &Series, exemplars: &[Exemplar]) -> v1::TimeSeries {
    let floats = series.floats.times.iter().zip(&series.floats.values);
    let histograms = series.histograms.times.iter().zip(&series.histograms.values);
    v1::TimeSeries {
        labels: labels_v1(&series.labels),
        samples: floats.map(|(&timestamp, &value)| v1::Sample { value, timestamp }).collect(),
        exemplars: exemplars
            .iter()
            .map(|e| v1::Exemplar {
                labels: labels_v1(&e.labels),
                value: e.value,
                timestamp: e.timestamp,
            })
            .collect(),
        histograms: histograms.map(|(&time, h)| histogram_v1(h, time)).collect(),
    }
}

fn labels_v1(labels: &Labels) -> Vec<v1::Label> {
    let label = |(n, v): (&str, &str)| v1::Label { name: n.to_owned(), value: v.to_owned() };
    labels.iter().map(label).collect()
}

/// What one family says of itself, for a 1.0 request.
pub fn metadata_v1(family: &str, m: &Metadata) -> v1::MetricMetadata {
    v1::MetricMetadata {
        r#type: m.kind as i32,
        metric_family_name: family.to_owned(),
        help: m.help.to_string(),
        unit: m.unit.to_string(),
    }
}

/// One 1.0 histogram.
pub fn histogram_v1(h: &Histogram, timestamp: i64) -> v1::Histogram {
    let span = |s: &varve_model::Span| v1::BucketSpan { offset: s.offset, length: s.length };
    let mut out = v1::Histogram {
        sum: h.sum,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        negative_spans: h.negative_spans.iter().map(span).collect(),
        positive_spans: h.positive_spans.iter().map(span).collect(),
        reset_hint: h.reset_hint as i32,
        timestamp,
        custom_values: h.custom_bounds.clone(),
        ..Default::default()
    };
    match &h.counts {
        Counts::Int { count, zero, positive, negative } => {
            out.count = Some(v1::histogram::Count::CountInt(*count));
            out.zero_count = Some(v1::histogram::ZeroCount::ZeroCountInt(*zero));
            out.positive_deltas = deltas(positive);
            out.negative_deltas = deltas(negative);
        }
        Counts::Float { count, zero, positive, negative } => {
            out.count = Some(v1::histogram::Count::CountFloat(*count));
            out.zero_count = Some(v1::histogram::ZeroCount::ZeroCountFloat(*zero));
            out.positive_counts = positive.clone();
            out.negative_counts = negative.clone();
        }
    }
    out
}

fn deltas(counts: &[u64]) -> Vec<i64> {
    let before = std::iter::once(&0).chain(counts);
    counts.iter().zip(before).map(|(c, b)| c.wrapping_sub(*b) as i64).collect()
}

/// Collects a 2.0 request; every string goes into it once.
#[derive(Debug, Default)]
pub struct RequestV2 {
    symbols: HashMap<String, u32>,
    request: v2::Request,
}

impl RequestV2 {
    /// A request without series; its first symbol is empty, as it must be.
    pub fn new() -> Self {
        let mut new = Self::default();
        new.symbol("");
        new
    }

    /// Adds one series with what is said of it.
    pub fn push(&mut self, series: &Series, exemplars: &[Exemplar], metadata: Option<&Metadata>) {
        let labels_refs = self.labels(&series.labels);
        let floats = series.floats.times.iter().zip(&series.floats.values).enumerate();
        let samples = floats.map(|(i, (&timestamp, &value))| v2::Sample {
            value,
            timestamp,
            start_timestamp: series.floats.start(i),
        });
        let histograms = series.histograms.times.iter().zip(&series.histograms.values).enumerate();
        let histograms =
            histograms.map(|(i, (&time, h))| histogram_v2(h, time, series.histograms.start(i)));
        let (samples, histograms) = (samples.collect(), histograms.collect());
        let exemplars = exemplars
            .iter()
            .map(|e| v2::Exemplar {
                labels_refs: self.labels(&e.labels),
                value: e.value,
                timestamp: e.timestamp,
            })
            .collect();
        let metadata = metadata.map(|m| v2::Metadata {
            r#type: m.kind as i32,
            help_ref: self.symbol(&m.help),
            unit_ref: self.symbol(&m.unit),
        });
        self.request.timeseries.push(v2::TimeSeries {
            labels_refs,
            samples,
            histograms,
            exemplars,
            metadata,
        });
    }

    /// The request.
    pub fn finish(self) -> v2::Request {
        self.request
    }

    fn labels(&mut self, labels: &Labels) -> Vec<u32> {
        labels.iter().flat_map(|(n, v)| [self.symbol(n), self.symbol(v)]).collect()
    }

    fn symbol(&mut self, s: &str) -> u32 {
        if let Some(&found) = self.symbols.get(s) {
            return found;
        }
        let reference = self.request.symbols.len() as u32;
        self.request.symbols.push(s.to_owned());
        self.symbols.insert(s.to_owned(), reference);
        reference
    }
}

/// One 2.0 histogram; `start` 0 means that it has no start timestamp.
pub fn histogram_v2(h: &Histogram, timestamp: i64, start: i64) -> v2::Histogram {
    let span = |s: &varve_model::Span| v2::BucketSpan { offset: s.offset, length: s.length };
    let mut out = v2::Histogram {
        sum: h.sum,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        negative_spans: h.negative_spans.iter().map(span).collect(),
        positive_spans: h.positive_spans.iter().map(span).collect(),
        reset_hint: h.reset_hint as i32,
        timestamp,
        custom_values: h.custom_bounds.clone(),
        start_timestamp: start,
        ..Default::default()
    };
    match &h.counts {
        Counts::Int { count, zero, positive, negative } => {
            out.count = Some(v2::histogram::Count::CountInt(*count));
            out.zero_count = Some(v2::histogram::ZeroCount::ZeroCountInt(*zero));
            out.positive_deltas = deltas(positive);
            out.negative_deltas = deltas(negative);
        }
        Counts::Float { count, zero, positive, negative } => {
            out.count = Some(v2::histogram::Count::CountFloat(*count));
            out.zero_count = Some(v2::histogram::ZeroCount::ZeroCountFloat(*zero));
            out.positive_counts = positive.clone();
            out.negative_counts = negative.clone();
        }
    }
    out
}
