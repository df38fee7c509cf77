//! rate, increase, delta, irate, idelta.
//!
//! Source: Prometheus, promql/functions.go `extrapolatedRate` and
//! `instantValue`; the order of operations is kept, so that results agree to
//! the last bit.

use super::super::histogram::range as histograms;
use super::{Output, RangeSeries, Scope, Window};
use crate::annotations::Annotation;
use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::plan::RangeFn;

/// Which of the functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Whether resets count.
    pub(crate) counter: bool,
    /// Whether the result is divided by the length of the range.
    pub(crate) per_second: bool,
}

/// Where the floats of a series were reset, found once for all windows.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    /// Indices of samples before which there was a reset.
    at: Vec<usize>,
    /// Indices of samples whose start timestamp lies before the sample before them.
    overlaps: Vec<usize>,
    /// Whether start timestamps count.
    pub(crate) starts: bool,
}

impl Resets {
    /// The resets of a series, when the function asks for them.
    pub(crate) fn of(ctx: &Context<'_>, func: RangeFn, s: &RangeSeries) -> Self {
        let starts = ctx.options.start_timestamps;
        let mut resets = Self { starts, ..Self::default() };
        if !matches!(func, RangeFn::Rate | RangeFn::Increase) {
            return resets;
        }
        let f = &s.floats;
        let starts = starts && !f.starts.is_empty();
        for i in 1..f.len() {
            let (before, now) = (f.times[i - 1], f.times[i]);
            let down = f.values[i] < f.values[i - 1];
            if down || starts && is_start_reset(f.starts[i - 1], before, f.starts[i], now) {
                resets.at.push(i);
            }
            if starts && overlaps(f.starts[i - 1], before, f.starts[i]) {
                resets.overlaps.push(i);
            }
        }
        resets
    }
}

/// The indices of `all` in `[from, to)`.
fn within(all: &[usize], from: usize, to: usize) -> &[usize] {
    let lo = all.partition_point(|i| *i < from);
    let hi = all.partition_point(|i| *i < to);
    &all[lo..hi.max(lo)]
}

/// Whether the start timestamps of two samples say that there was a reset between.
pub(crate) fn is_start_reset(prev_start: i64, prev: i64, start: i64, now: i64) -> bool {
    if prev_start == start || start == 0 || start >= now || start < prev {
        return false;
    }
    if start > prev {
        return true;
    }
    // The start is the sample before: a reset of deltas, but not of a
    // cumulative series whose start is not known.
    prev_start <= prev && prev_start != 0 && prev_start != prev
}

/// Whether a start timestamp lies before the sample before it.
pub(crate) fn overlaps(prev_start: i64, prev: i64, start: i64) -> bool {
    start != 0 && start < prev && start != prev_start
}

/// rate, increase and delta over a plain range.
pub(crate) fn extrapolated(
    scope: &Scope<'_>,
    window: &Window<'_>,
    resets: &Resets,
    kind: Kind,
) -> Result<Output, EngineError> {
    let (f, h) = (&window.floats, &window.histograms);
    if !f.is_empty() && !h.is_empty() {
        scope.annotate(Annotation::mixed_floats_histograms(scope.metric(), scope.span));
        return Ok(Output::Nothing);
    }
    if !h.is_empty() {
        return Ok(histograms::extrapolated(scope, window, resets.starts, kind));
    }
    let n = f.len();
    let mut result = f.values[n - 1] - f.values[0];
    if kind.counter {
        let (from, to) = (f.first + 1, f.first + n);
        if !within(&resets.overlaps, from, to).is_empty() {
            scope.annotate(Annotation::start_time_overlap(scope.metric(), scope.span));
        }
        for i in within(&resets.at, from, to) {
            result += f.values[i - f.first - 1];
        }
    }
    let start = if resets.starts { f.start(0) } else { 0 };
    let edges = Edges { window, first: f.times[0], last: f.times[n - 1], samples: n, start };
    if kind.counter && edges.starts_inside() {
        result += f.values[0];
    }
    let zero = (result > 0.0 && f.values[0] >= 0.0).then(|| f.values[0] / result);
    Ok(match edges.factor(scope, kind, zero) {
        Some(factor) => Output::Float(result * factor),
        None => Output::Nothing,
    })
}

/// How the samples lie in their range.
pub(crate) struct Edges<'a> {
    pub(crate) window: &'a Window<'a>,
    /// Time of the first sample.
    pub(crate) first: i64,
    /// Time of the last sample.
    pub(crate) last: i64,
    pub(crate) samples: usize,
    /// Start timestamp of the first sample, 0 = none or not to be used.
    pub(crate) start: i64,
}

impl Edges<'_> {
    /// Whether the counter began within the range.
    pub(crate) fn starts_inside(&self) -> bool {
        self.start != 0 && self.start > self.window.start && self.start < self.first
    }

    /// What the difference is multiplied with to cover the whole range; `None`
    /// when there are too few samples. `zero` is the first value as a part of
    /// the increase, when a counter's zero can be told from it.
    pub(crate) fn factor(&self, scope: &Scope<'_>, kind: Kind, zero: Option<f64>) -> Option<f64> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let mut to_start = seconds(self.first - self.window.start);
        let mut to_end = seconds(self.window.end - self.last);
        let mut sampled = seconds(self.last - self.first);
        let gaps = self.samples - 1;
        let average = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
        let threshold = average * 1.1;
        if kind.counter && self.starts_inside() {
            to_start = 0.0;
            sampled = seconds(self.last - self.start);
        } else if gaps == 0 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if kind.counter {
                let to_zero = zero.map_or(to_start, |z| sampled * z);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = 1.0;
        if sampled != 0.0 {
            factor = (sampled + to_start + to_end) / sampled;
        }
        if kind.per_second {
            factor /= scope.range_seconds;
        }
        Some(factor)
    }
}

/// irate and idelta: the last two samples only.
pub(crate) fn instant(
    scope: &Scope<'_>,
    window: &Window<'_>,
    rate: bool,
) -> Result<Output, EngineError> {
    let (f, h) = (&window.floats, &window.histograms);
    if f.len() + h.len() < 2 {
        return Ok(Output::Nothing);
    }
    // The kind of the last two samples, newest first.
    let mut fi = f.len();
    let mut hi = h.len();
    let mut newest = || {
        let float = fi.checked_sub(1).map(|i| f.times[i]);
        let histogram = hi.checked_sub(1).map(|i| h.times[i]);
        let is_float = float > histogram;
        *if is_float { &mut fi } else { &mut hi } -= 1;
        is_float
    };
    let (last, before) = (newest(), newest());
    if last != before {
        scope.annotate(Annotation::mixed_floats_histograms(scope.metric(), scope.span));
        return Ok(Output::Nothing);
    }
    let starts = rate && scope.ctx.options.start_timestamps;
    if !last {
        return Ok(histograms::instant(scope, window, rate, starts));
    }
    let (a, b) = (f.len() - 2, f.len() - 1);
    let interval = f.times[b] - f.times[a];
    if interval == 0 {
        return Ok(Output::Nothing);
    }
    let mut result = f.values[b];
    let reset = rate
        && (f.values[b] < f.values[a]
            || starts && is_start_reset(f.start(a), f.times[a], f.start(b), f.times[b]));
    if !reset {
        result = f.values[b] - f.values[a];
    }
    if rate {
        result /= interval as f64 / 1000.0;
    }
    Ok(Output::Float(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_timestamps_say_what_was_reset() {
        // (start before, time before, start, time) -> reset
        let cases = [
            ((0, 10, 0, 20), false),
            ((5, 10, 5, 20), false),
            ((0, 10, 15, 20), true),
            ((0, 10, 20, 20), false),
            ((0, 10, 25, 20), false),
            ((5, 10, 8, 20), false),
            ((5, 10, 10, 20), true),
            ((0, 10, 10, 20), false),
            ((10, 10, 10, 20), false),
            ((12, 10, 10, 20), false),
        ];
        for ((prev_start, prev, start, now), reset) in cases {
            assert_eq!(is_start_reset(prev_start, prev, start, now), reset, "{start} {prev}");
        }
        assert!(overlaps(0, 10, 5));
        assert!(!overlaps(5, 10, 5));
        assert!(!overlaps(0, 10, 10));
    }
}
