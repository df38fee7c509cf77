//! `anchored` and `smoothed` ranges: the values at the edges are those of the
//! nearest samples, or interpolated.
//!
//! Source: Prometheus, promql/functions.go `extendedRate` and
//! promql/engine.go `extendFloats`.

use varve_model::{FloatSamples, HistogramSamples};

use super::super::histogram::range as histograms;
use super::rate::Kind;
use super::{Floats, Output, RangeSeries, Scope, Window};
use crate::annotations::Annotation;
use crate::ast::Extended;
use crate::engine::EngineError;

/// The value at `t` on the line between two samples; a counter that went down
/// started from zero.
pub(crate) fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// The samples that bound a range, and the values at its edges.
struct Edges {
    first: usize,
    last: usize,
    left: f64,
    right: f64,
}

impl Edges {
    /// `None` when the range is empty.
    fn of(f: &Floats<'_>, window: &Window<'_>, smoothed: bool, counter: bool) -> Option<Self> {
        let mut last = f.len().checked_sub(1)?;
        let first = f.times[..last].partition_point(|t| *t <= window.start).saturating_sub(1);
        if smoothed {
            last = f.times[..last].partition_point(|t| *t < window.end);
        }
        if f.times[last] <= window.start {
            return None;
        }
        let point = |i: usize| (f.times[i], f.values[i]);
        let left = match smoothed && f.times[first] < window.start {
            true => interpolate(point(first), point(first + 1), window.start, counter),
            false => f.values[first],
        };
        let right = match smoothed && last > 0 && f.times[last] > window.end {
            true => interpolate(point(last - 1), point(last), window.end, counter),
            false => f.values[last],
        };
        Some(Self { first, last, left, right })
    }

    /// The samples strictly within the range.
    fn inner(&self, f: &Floats<'_>, window: &Window<'_>) -> std::ops::Range<usize> {
        let from = self.first + usize::from(f.times[self.first] <= window.start);
        let to = self.last + usize::from(f.times[self.last] < window.end);
        from..to.max(from)
    }
}

/// rate, increase and delta over an extended range.
pub(crate) fn rate(
    scope: &Scope<'_>,
    window: &Window<'_>,
    extended: Extended,
    kind: Kind,
) -> Result<Output, EngineError> {
    let (f, h) = (&window.floats, &window.histograms);
    if !f.is_empty() && !h.is_empty() {
        scope.annotate(Annotation::mixed_floats_histograms(scope.metric(), scope.span));
        return Ok(Output::Nothing);
    }
    let smoothed = extended == Extended::Smoothed;
    if !h.is_empty() {
        return Ok(histograms::extended(scope, window, smoothed, kind));
    }
    let Some(edges) = Edges::of(f, window, smoothed, kind.counter) else {
        return Ok(Output::Nothing);
    };
    if smoothed && f.times[edges.first] > window.end {
        return Ok(Output::Nothing);
    }
    let mut result = edges.right - edges.left;
    if kind.counter {
        let mut before = edges.left;
        let mut correction = 0.0;
        let inner = f.values[edges.inner(f, window)].iter();
        for v in inner.chain([&edges.right]) {
            if *v < before {
                correction += before;
            }
            before = *v;
        }
        result += correction;
    }
    if kind.per_second {
        result /= scope.range_seconds;
    }
    Ok(Output::Float(result))
}

/// The samples of an extended range, for a query that asks for the range itself.
pub(crate) fn cut(
    series: &RangeSeries,
    window: &Window<'_>,
    extended: Extended,
) -> Result<RangeSeries, EngineError> {
    let smoothed = extended == Extended::Smoothed;
    if !window.histograms.is_empty() {
        let name = if smoothed { "smoothed" } else { "anchored" };
        let message = format!("{name} modifier is not supported with histograms");
        return Err(EngineError::execution(message));
    }
    let f = &window.floats;
    let mut floats = FloatSamples::default();
    if let Some(edges) = Edges::of(f, window, smoothed, false) {
        floats.push(window.start, edges.left, 0);
        for i in edges.inner(f, window) {
            floats.push(f.times[i], f.values[i], 0);
        }
        floats.push(window.end, edges.right, 0);
    }
    let histograms = HistogramSamples::default();
    Ok(RangeSeries {
        labels: series.labels.clone(),
        drop_name: series.drop_name,
        floats,
        histograms,
    })
}
