//! Samples that are not coded yet: a float and a histogram column, sorted.
//!
//! Readers share a buffer through an `Arc`; the writer copies it only when it
//! writes to one that a reader still holds.

use std::sync::Arc;

use varve_model::{FloatSamples, Histogram, HistogramSamples, ResetHint, window_end};

/// One sample of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// Sorted samples of one series; no time stands in both columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) floats: FloatSamples,
    /// Most series have none.
    pub(crate) histograms: Option<Box<HistogramSamples>>,
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
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.as_ref().map_or(0, |h| h.len())
    }

    fn histogram_times(&self) -> &[i64] {
        self.histograms.as_ref().map_or(&[], |h| &h.times)
    }

    /// First and last time; `None` when empty.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let (f, h) = (&self.floats.times, self.histogram_times());
        let min = f.first().into_iter().chain(h.first()).min()?;
        let max = f.last().into_iter().chain(h.last()).max()?;
        Some((*min, *max))
    }

    /// The value at a time.
    pub(crate) fn get(&self, time: i64) -> Option<Value> {
        if let Ok(i) = self.floats.times.binary_search(&time) {
            return Some(Value::Float(self.floats.values[i]));
        }
        let histograms = self.histograms.as_ref()?;
        let i = histograms.times.binary_search(&time).ok()?;
        Some(Value::Histogram(Arc::clone(&histograms.values[i])))
    }

    /// Adds a sample whose time is not there yet.
    pub(crate) fn insert(&mut self, time: i64, value: Value, start: i64, index: u64) {
        self.last_index = index;
        match value {
            Value::Float(v) => {
                let column = &mut self.floats;
                let at = place(&column.times, time);
                put(&mut column.times, &mut column.starts, at, time, start);
                column.values.insert(at, v);
            }
            Value::Histogram(h) => {
                let column = self.histograms.get_or_insert_default();
                let at = place(&column.times, time);
                put(&mut column.times, &mut column.starts, at, time, start);
                column.values.insert(at, h);
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
        for (i, time) in self.floats.times.iter().enumerate() {
            add(*time, Value::Float(self.floats.values[i]), self.floats.start(i));
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
        size_of::<Self>()
            + self.floats.memory()
            + self.histograms.as_ref().map_or(0, |h| size_of::<HistogramSamples>() + h.memory())
    }
}

/// Where a time belongs; nearly always at the end.
fn place(times: &[i64], time: i64) -> usize {
    match times.last() {
        Some(last) if *last >= time => times.partition_point(|t| *t < time),
        _ => times.len(),
    }
}

/// Inserts a time and its start timestamp; `starts` takes no room until the
/// first sample that has one.
fn put(times: &mut Vec<i64>, starts: &mut Vec<i64>, at: usize, time: i64, start: i64) {
    if start != 0 && starts.is_empty() {
        starts.resize(times.len(), 0);
    }
    if start != 0 || !starts.is_empty() {
        starts.insert(at, start);
    }
    times.insert(at, time);
}
