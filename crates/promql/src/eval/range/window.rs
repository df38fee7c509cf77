//! The window that slides over one series.

use std::sync::Arc;

use varve_model::{FloatSamples, Histogram, HistogramSamples};

use super::RangeSeries;
use crate::plan::RangeSource;

/// Float samples of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floats<'a> {
    /// Index of the first one in its series.
    pub(crate) first: usize,
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Empty, or one a sample.
    pub(crate) starts: &'a [i64],
}

/// Histogram samples of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Histograms<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [Arc<Histogram>],
    /// Empty, or one a sample.
    pub(crate) starts: &'a [i64],
}

impl Floats<'_> {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn start(&self, i: usize) -> i64 {
        self.starts.get(i).copied().unwrap_or(0)
    }
}

impl Histograms<'_> {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn start(&self, i: usize) -> i64 {
        self.starts.get(i).copied().unwrap_or(0)
    }
}

/// The samples that a function sees at one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// The evaluation time.
    pub(crate) time: i64,
    /// Exclusive start of the range. Extended windows have samples before it.
    pub(crate) start: i64,
    /// Inclusive end of the range. Smoothed windows have samples after it.
    pub(crate) end: i64,
    pub(crate) floats: Floats<'a>,
    pub(crate) histograms: Histograms<'a>,
}

impl Window<'_> {
    /// Whether there are no samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// The samples as a series of their own.
    pub(crate) fn to_series(self, of: &RangeSeries) -> RangeSeries {
        let mut floats = FloatSamples::default();
        for i in 0..self.floats.len() {
            floats.push(self.floats.times[i], self.floats.values[i], 0);
        }
        let mut histograms = HistogramSamples::default();
        for i in 0..self.histograms.len() {
            histograms.push(self.histograms.times[i], Arc::clone(&self.histograms.values[i]), 0);
        }
        RangeSeries { labels: of.labels.clone(), drop_name: of.drop_name, floats, histograms }
    }
}

/// Where the window stands.
#[derive(Debug)]
pub(crate) struct Slide<'a> {
    series: &'a RangeSeries,
    floats: (usize, usize),
    histograms: (usize, usize),
}

impl<'a> Slide<'a> {
    /// A window before the first sample.
    pub(crate) fn new(series: &'a RangeSeries) -> Self {
        Self { series, floats: (0, 0), histograms: (0, 0) }
    }

    /// Moves the window on to the step at `time`, which never goes back.
    pub(crate) fn window(&mut self, source: &RangeSource, time: i64) -> Window<'a> {
        let end = source.lookup.of(time);
        let start = end.saturating_sub(source.range);
        let (before, after) = source.margins();
        let (from, to) = (start.saturating_sub(before), end.saturating_add(after));
        let s = self.series;
        advance(&mut self.floats, &s.floats.times, from, to);
        advance(&mut self.histograms, &s.histograms.times, from, to);
        let (lo, hi) = self.floats;
        let floats = Floats {
            first: lo,
            times: &s.floats.times[lo..hi],
            values: &s.floats.values[lo..hi],
            starts: s.floats.starts.get(lo..hi).unwrap_or_default(),
        };
        let (lo, hi) = self.histograms;
        let histograms = Histograms {
            times: &s.histograms.times[lo..hi],
            values: &s.histograms.values[lo..hi],
            starts: s.histograms.starts.get(lo..hi).unwrap_or_default(),
        };
        Window { time, start, end, floats, histograms }
    }
}

/// Moves `(lo, hi)` so that it holds exactly the times in `(from, to]`.
fn advance((lo, hi): &mut (usize, usize), times: &[i64], from: i64, to: i64) {
    while *hi < times.len() && times[*hi] <= to {
        *hi += 1;
    }
    while *lo < *hi && times[*lo] <= from {
        *lo += 1;
    }
}
