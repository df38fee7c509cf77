//! resets and changes, over floats and histograms in order of time.

use std::sync::Arc;

use varve_model::Histogram;

use super::super::histogram;
use super::rate::is_start_reset;
use super::{Output, Scope, Window};
use crate::ast::Extended;
use crate::engine::EngineError;

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    start: i64,
    value: Value<'a>,
}

/// The samples of both kinds in order of time.
struct Samples<'a> {
    window: Window<'a>,
    float: usize,
    histogram: usize,
}

impl<'a> Samples<'a> {
    /// `None` when nothing lies within the range. An anchored range begins
    /// with the newest sample at or before its start.
    fn new(window: &Window<'a>, extended: Option<Extended>) -> Option<Self> {
        let (mut float, mut histogram) = (0, 0);
        if extended == Some(Extended::Anchored) {
            let (f, h) = (window.floats.times, window.histograms.times);
            let floats_before = f.partition_point(|t| *t <= window.start);
            let histograms_before = h.partition_point(|t| *t <= window.start);
            if floats_before == f.len() && histograms_before == h.len() {
                return None;
            }
            let anchor_f = floats_before.checked_sub(1).map(|i| f[i]);
            let anchor_h = histograms_before.checked_sub(1).map(|i| h[i]);
            match (anchor_f, anchor_h) {
                (None, None) => {}
                (f, h) if f >= h => (float, histogram) = (floats_before - 1, histograms_before),
                _ => (float, histogram) = (floats_before, histograms_before - 1),
            }
        }
        Some(Self { window: *window, float, histogram })
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = Sample<'a>;

    fn next(&mut self) -> Option<Sample<'a>> {
        let (f, h) = (&self.window.floats, &self.window.histograms);
        let (float, histogram) = (f.times.get(self.float), h.times.get(self.histogram));
        match (float, histogram) {
            (Some(&time), h) if h.is_none_or(|h| time < *h) => {
                let i = self.float;
                self.float += 1;
                Some(Sample { time, start: f.start(i), value: Value::Float(f.values[i]) })
            }
            (_, Some(&time)) => {
                let i = self.histogram;
                self.histogram += 1;
                Some(Sample { time, start: h.start(i), value: Value::Histogram(&h.values[i]) })
            }
            _ => None,
        }
    }
}

/// Counts the neighbours for which `differ` holds.
fn count(
    window: &Window<'_>,
    extended: Option<Extended>,
    mut differ: impl FnMut(&Sample<'_>, &Sample<'_>) -> bool,
) -> Output {
    let Some(mut samples) = Samples::new(window, extended) else { return Output::Nothing };
    let Some(mut before) = samples.next() else { return Output::Nothing };
    let mut n = 0u64;
    for now in samples {
        n += u64::from(differ(&before, &now));
        before = now;
    }
    Output::Float(n as f64)
}

pub(crate) fn resets(
    scope: &Scope<'_>,
    window: &Window<'_>,
    extended: Option<Extended>,
) -> Result<Output, EngineError> {
    let starts = scope.ctx.options.start_timestamps;
    Ok(count(window, extended, |a, b| {
        let started = starts && is_start_reset(a.start, a.time, b.start, b.time);
        match (a.value, b.value) {
            (Value::Float(x), Value::Float(y)) => y < x || started,
            (Value::Histogram(x), Value::Histogram(y)) => started || histogram::detect_reset(y, x),
            _ => true,
        }
    }))
}

pub(crate) fn changes(
    window: &Window<'_>,
    extended: Option<Extended>,
) -> Result<Output, EngineError> {
    Ok(count(window, extended, |a, b| match (a.value, b.value) {
        (Value::Float(x), Value::Float(y)) => x != y && !(x.is_nan() && y.is_nan()),
        (Value::Histogram(x), Value::Histogram(y)) => !histogram::equal(x, y),
        _ => true,
    }))
}
