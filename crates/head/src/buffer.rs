//! Samples that are in no chunk yet: coded floats and a histogram column.
//!
//! Readers share a buffer through an `Arc`; the writer copies it only when it
//! writes to one that a reader still holds.

use std::sync::Arc;

use varve_model::{FloatSamples, Histogram, HistogramSamples, ResetHint, window_end};

use crate::stream::Stream;

/// One sample of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// Sorted samples of one series; no time stands in both columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    floats: Stream,
    /// Most series have none.
    histograms: Option<Box<HistogramSamples>>,
    /// Index of the last log entry that added a sample.
    pub(crate) last_index: u64,
}

impl Value {
    /// Whether two values are the same data. Of a reset hint only *gauge or
    /// not* is data.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => {
                Arc::ptr_eq(a, b) || normal(Arc::clone(a)) == normal(Arc::clone(b))
            }
            _ => false,
        }
    }

    /// The value as it is kept.
    pub(crate) fn normal(self) -> Self {
        match self {
            Self::Histogram(h) => Self::Histogram(normal(h)),
            float @ Self::Float(_) => float,
        }
    }
}

/// Drops what is not data of a reset hint.
fn normal(mut h: Arc<Histogram>) -> Arc<Histogram> {
    if !matches!(h.reset_hint, ResetHint::Gauge | ResetHint::Unknown) {
        Arc::make_mut(&mut h).reset_hint = ResetHint::Unknown;
    }
    h
}

impl Buffer {
    /// The buffer that holds these columns.
    pub(crate) fn from_columns(
        floats: &FloatSamples,
        histograms: HistogramSamples,
        last_index: u64,
    ) -> Self {
        let histograms = (!histograms.is_empty()).then(|| Box::new(histograms));
        Self { floats: Stream::from_columns(floats), histograms, last_index }
    }

    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.as_ref().map_or(0, |h| h.len())
    }

    /// The coded floats.
    pub(crate) fn floats(&self) -> &Stream {
        &self.floats
    }

    /// The histograms, when there are any.
    pub(crate) fn histograms(&self) -> Option<&HistogramSamples> {
        self.histograms.as_deref()
    }

    /// First and last time of the histograms; `None` when there are none.
    pub(crate) fn histogram_span(&self) -> Option<(i64, i64)> {
        let times = &self.histograms()?.times;
        Some((*times.first()?, *times.last()?))
    }

    /// First and last time; `None` when empty.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        match (self.floats.span(), self.histogram_span()) {
            (Some(f), Some(h)) => Some((f.0.min(h.0), f.1.max(h.1))),
            (one, other) => one.or(other),
        }
    }

    /// The value at a time.
    pub(crate) fn get(&self, time: i64) -> Option<Value> {
        if let Some(value) = self.floats.get(time) {
            return Some(Value::Float(value));
        }
        let histograms = self.histograms()?;
        let i = histograms.times.binary_search(&time).ok()?;
        Some(Value::Histogram(Arc::clone(&histograms.values[i])))
    }

    /// Adds a sample whose time is not there yet.
    pub(crate) fn insert(&mut self, time: i64, value: Value, start: i64, index: u64) {
        self.last_index = index;
        match value {
            Value::Float(v) => {
                if self.floats.span().is_none_or(|(_, last)| last < time) {
                    self.floats.push(time, v, start);
                } else {
                    self.floats = with(&self.floats, time, v, start);
                }
            }
            Value::Histogram(h) => {
                let column = self.histograms.get_or_insert_default();
                let at = column.times.partition_point(|t| *t < time);
                if at == column.times.len() {
                    column.push(time, h, start);
                } else {
                    if start != 0 && column.starts.is_empty() {
                        column.starts.resize(column.times.len(), 0);
                    }
                    if !column.starts.is_empty() {
                        column.starts.insert(at, start);
                    }
                    column.times.insert(at, time);
                    column.values.insert(at, h);
                }
            }
        }
    }

    /// The samples by two-hour window, oldest first.
    pub(crate) fn split_windows(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let one_window = self.span().is_none_or(|(a, b)| window_end(a) == window_end(b));
        if one_window {
            return vec![Arc::clone(self)];
        }
        let mut parts = std::collections::BTreeMap::<i64, Self>::new();
        let mut add = |time: i64, value: Value, start: i64| {
            let part = parts.entry(window_end(time)).or_default();
            part.insert(time, value, start, self.last_index);
        };
        for (time, value, start) in self.floats.iter() {
            add(time, Value::Float(value), start);
        }
        if let Some(h) = &self.histograms {
            for (i, time) in h.times.iter().enumerate() {
                add(*time, Value::Histogram(Arc::clone(&h.values[i])), h.start(i));
            }
        }
        parts.into_values().map(Arc::new).collect()
    }

    /// Bytes of memory behind the buffer, itself included.
    pub(crate) fn memory(&self) -> usize {
        let histograms = self.histograms.as_ref();
        size_of::<Self>()
            + self.floats.memory()
            + histograms.map_or(0, |h| size_of::<HistogramSamples>() + h.memory())
    }
}

/// A stream with one more sample somewhere before its end.
fn with(stream: &Stream, time: i64, value: f64, start: i64) -> Stream {
    let mut out = Stream::default();
    let mut new = Some((time, value, start));
    for sample in stream.iter() {
        if let Some((t, v, s)) = new.take_if(|new| new.0 < sample.0) {
            out.push(t, v, s);
        }
        out.push(sample.0, sample.1, sample.2);
    }
    out
}
