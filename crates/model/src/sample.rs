//! Samples: what a series held, and when.
//!
//! A series' floats and histograms are kept in two columns, so that the
//! common case is two plain vectors. A column's times are strictly
//! increasing, and no time stands in both.

use std::sync::Arc;

use crate::{Histogram, Labels};

/// The bits of the NaN that marks a series as gone (Prometheus' `StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The NaN that marks a series as gone.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether a value is the stale marker; other NaNs are values.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// A column of float samples.
///
/// * `times` is strictly increasing, in milliseconds since the epoch
/// * `values` is as long as `times`
/// * `starts` is empty (no sample has one) or as long as `times`; 0 = none
#[derive(Clone, Debug, Default)]
pub struct FloatSamples {
    /// When, in milliseconds since the epoch.
    pub times: Vec<i64>,
    /// What.
    pub values: Vec<f64>,
    /// Start timestamps, in milliseconds since the epoch; 0 = none.
    pub starts: Vec<i64>,
}

/// A column of histogram samples; the rules of [`FloatSamples`] hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSamples {
    /// When, in milliseconds since the epoch.
    pub times: Vec<i64>,
    /// What.
    pub values: Vec<Arc<Histogram>>,
    /// Start timestamps, in milliseconds since the epoch; 0 = none.
    pub starts: Vec<i64>,
}

/// Two columns are equal when they hold the same bits.
impl PartialEq for FloatSamples {
    fn eq(&self, other: &Self) -> bool {
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        self.times == other.times
            && self.starts == other.starts
            && bits(&self.values) == bits(&other.values)
    }
}

/// One series with its samples of some range of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Who.
    pub labels: Labels,
    /// The float samples.
    pub floats: FloatSamples,
    /// The histogram samples.
    pub histograms: HistogramSamples,
}

impl FloatSamples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Appends a sample; `start` 0 means that it has no start timestamp.
    pub fn push(&mut self, time: i64, value: f64, start: i64) {
        push_start(&mut self.starts, self.times.len(), start);
        self.times.push(time);
        self.values.push(value);
    }

    /// The start timestamp of sample `i`, 0 when it has none.
    pub fn start(&self, i: usize) -> i64 {
        self.starts.get(i).copied().unwrap_or(0)
    }

    /// Bytes of memory behind this value.
    pub fn memory(&self) -> usize {
        8 * (self.times.capacity() + self.values.capacity() + self.starts.capacity())
    }
}

impl HistogramSamples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Appends a sample; `start` 0 means that it has no start timestamp.
    pub fn push(&mut self, time: i64, value: Arc<Histogram>, start: i64) {
        push_start(&mut self.starts, self.times.len(), start);
        self.times.push(time);
        self.values.push(value);
    }

    /// The start timestamp of sample `i`, 0 when it has none.
    pub fn start(&self, i: usize) -> i64 {
        self.starts.get(i).copied().unwrap_or(0)
    }

    /// Bytes of memory behind this value.
    pub fn memory(&self) -> usize {
        self.values.iter().map(|h| h.memory() + 8).sum::<usize>()
            + 8 * (self.times.capacity() + self.starts.capacity())
    }
}

impl Series {
    /// How many samples of either kind there are.
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Bytes of memory behind this value.
    pub fn memory(&self) -> usize {
        self.labels.memory() + self.floats.memory() + self.histograms.memory()
    }
}

/// Start timestamps take no memory until the first sample that has one.
fn push_start(starts: &mut Vec<i64>, len: usize, start: i64) {
    if start != 0 && starts.is_empty() {
        starts.resize(len, 0);
    }
    if start != 0 || !starts.is_empty() {
        starts.push(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_take_room_only_when_there_are_some() {
        let mut s = FloatSamples::default();
        s.push(1, 1.0, 0);
        assert!(s.starts.is_empty());
        s.push(2, 1.0, 7);
        s.push(3, 1.0, 0);
        assert_eq!(s.starts, [0, 7, 0]);
    }
}
