//! Functions of ranges of histograms.
//!
//! Source: Prometheus, promql/functions.go `histogramRate`,
//! `extendedHistogramRate` and `instantValue`.

use std::sync::Arc;

use varve_model::{Histogram, ResetHint};

use super::aggregate::Total;
use super::interpolate::interpolate;
use super::reset::detect_reset_float;
use super::{Combined, Float, Incompatible, detect_reset};
use crate::annotations::{Annotation, HistogramOperation};
use crate::eval::range::{
    Edges, Histograms, Output, RateKind, Scope, Window, is_start_reset, starts_overlap,
};

fn output(h: &Float) -> Output {
    Output::Histogram(Arc::new(h.to_model()))
}

/// Says what combining found; `None` when it was impossible, which is said, too.
fn noted(
    scope: &Scope<'_>,
    operation: HistogramOperation,
    found: Result<Combined, Incompatible>,
) -> Option<()> {
    match found {
        Ok(found) => {
            if found.reconciled {
                scope.annotate(Annotation::mismatched_custom_buckets(operation, scope.span));
            }
            Some(())
        }
        Err(Incompatible) => {
            scope.annotate(Annotation::mixed_exponential_custom(scope.metric(), scope.span));
            None
        }
    }
}

/// rate, increase and delta over a plain range.
pub(crate) fn extrapolated(
    scope: &Scope<'_>,
    window: &Window<'_>,
    starts: bool,
    kind: RateKind,
) -> Output {
    rate(scope, window, starts, kind).unwrap_or(Output::Nothing)
}

fn rate(scope: &Scope<'_>, window: &Window<'_>, starts: bool, kind: RateKind) -> Option<Output> {
    let h = &window.histograms;
    let n = h.len();
    let start = if starts { h.start(0) } else { 0 };
    let edges = Edges { window, first: h.times[0], last: h.times[n - 1], samples: n, start };
    let mut result = match n {
        1 => None,
        _ => Some(difference(scope, h, starts, kind.counter)?),
    };
    if kind.counter && edges.starts_inside() {
        match &mut result {
            None => result = Some(Float::of(&h.values[0])),
            Some(r) => {
                let found = r.add(&Float::of(&h.values[0]));
                noted(scope, HistogramOperation::Addition, found)?;
            }
        }
    }
    let first = h.values[0].count();
    let zero = result.as_ref().filter(|r| r.count.sum > 0.0 && first >= 0.0);
    let factor = edges.factor(scope, kind, zero.map(|r| first / r.count.sum))?;
    let mut result = result?;
    result.multiply(factor);
    Some(output(&result))
}

/// The last histogram less the first, with what was lost in resets. Once
/// buckets turn out not to go together that alone is said.
fn difference(scope: &Scope<'_>, h: &Histograms<'_>, starts: bool, counter: bool) -> Option<Float> {
    let mut said = Vec::new();
    let result = checked_difference(scope, h, starts, counter, &mut said);
    let mixed = || Annotation::mixed_exponential_custom(scope.metric(), scope.span);
    match result {
        Err(Incompatible) => scope.annotate(mixed()),
        Ok(_) => said.into_iter().for_each(|a| scope.annotate(a)),
    }
    result.ok().flatten()
}

fn checked_difference(
    scope: &Scope<'_>,
    h: &Histograms<'_>,
    starts: bool,
    counter: bool,
    said: &mut Vec<Annotation>,
) -> Result<Option<Float>, Incompatible> {
    let n = h.len();
    let reconciled = |operation| Annotation::mismatched_custom_buckets(operation, scope.span);
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let last = &h.values[n - 1];
    let mut before = Float::of(&h.values[0]);
    if counter && (gauge(&h.values[0]) || gauge(last)) {
        said.push(Annotation::histogram_not_counter(scope.metric(), scope.span));
    }
    let reset_at =
        |i: usize| starts && is_start_reset(h.start(i - 1), h.times[i - 1], h.start(i), h.times[i]);
    // After a reset right at the beginning the first sample does not matter.
    if counter && (reset_at(1) || detect_reset(&h.values[1], &h.values[0])) {
        before = Float::empty_like(&Float::of(&h.values[1]));
    }
    let custom = before.is_custom();
    if last.uses_custom_buckets() != custom {
        said.push(Annotation::mixed_exponential_custom(scope.metric(), scope.span));
        return Ok(None);
    }
    let mut schema = last.schema.min(before.schema);
    if counter {
        for h in &h.values[1..n - 1] {
            if gauge(h) {
                said.push(Annotation::histogram_not_counter(scope.metric(), scope.span));
            }
            schema = schema.min(h.schema);
            if h.uses_custom_buckets() != custom {
                return Err(Incompatible);
            }
        }
    }
    let mut result = Float::of(last);
    result.reduce(schema);
    if result.subtract(&before)?.reconciled {
        said.push(reconciled(HistogramOperation::Subtraction));
    }
    if counter {
        let mut told = false;
        for i in 1..n {
            let overlap = starts && starts_overlap(h.start(i - 1), h.times[i - 1], h.start(i));
            if overlap && !told {
                told = true;
                said.push(Annotation::start_time_overlap(scope.metric(), scope.span));
            }
            // Most histograms say that there was no reset.
            let known = h.values[i].reset_hint == ResetHint::NotCounterReset;
            let now = if known { None } else { Some(Float::of(&h.values[i])) };
            let reset =
                reset_at(i) || now.as_ref().is_some_and(|now| detect_reset_float(now, &before));
            if reset && result.add(&before)?.reconciled {
                said.push(reconciled(HistogramOperation::Addition));
            }
            if i + 1 < n {
                before = now.unwrap_or_else(|| Float::of(&h.values[i]));
            }
        }
    } else if !gauge(&h.values[0]) || !gauge(last) {
        said.push(Annotation::histogram_not_gauge(scope.metric(), scope.span));
    }
    result.hint = ResetHint::Gauge;
    Ok(Some(result.compact()))
}

/// irate and idelta: the last two samples are histograms.
pub(crate) fn instant(scope: &Scope<'_>, window: &Window<'_>, rate: bool, starts: bool) -> Output {
    let h = &window.histograms;
    let (a, b) = (h.len() - 2, h.len() - 1);
    let interval = h.times[b] - h.times[a];
    if interval == 0 {
        return Output::Nothing;
    }
    let gauge = |i: usize| h.values[i].reset_hint == ResetHint::Gauge;
    if rate && (gauge(a) || gauge(b)) {
        scope.annotate(Annotation::histogram_not_counter(scope.metric(), scope.span));
    }
    if !rate && (!gauge(a) || !gauge(b)) {
        scope.annotate(Annotation::histogram_not_gauge(scope.metric(), scope.span));
    }
    let mut result = Float::of(&h.values[b]);
    let reset = rate
        && (starts && is_start_reset(h.start(a), h.times[a], h.start(b), h.times[b])
            || detect_reset(&h.values[b], &h.values[a]));
    if !reset {
        let found = result.subtract(&Float::of(&h.values[a]));
        if noted(scope, HistogramOperation::Subtraction, found).is_none() {
            return Output::Nothing;
        }
    }
    result.hint = ResetHint::Gauge;
    let mut result = result.compact();
    if rate {
        result.divide(interval as f64 / 1000.0);
    }
    output(&result)
}

/// rate, increase and delta over an anchored or smoothed range.
pub(crate) fn extended(
    scope: &Scope<'_>,
    window: &Window<'_>,
    smoothed: bool,
    kind: RateKind,
) -> Output {
    extended_rate(scope, window, smoothed, kind).unwrap_or(Output::Nothing)
}

fn extended_rate(
    scope: &Scope<'_>,
    window: &Window<'_>,
    smoothed: bool,
    kind: RateKind,
) -> Option<Output> {
    let h = &window.histograms;
    let mut last = h.len() - 1;
    let first = h.times[..last].partition_point(|t| *t <= window.start).saturating_sub(1);
    if smoothed {
        last = h.times[..last].partition_point(|t| *t < window.end);
    }
    if h.times[last] <= window.start || smoothed && h.times[first] > window.end {
        return None;
    }
    let custom = h.values[first].uses_custom_buckets();
    for v in &h.values[first..=last.max(first)] {
        if v.uses_custom_buckets() != custom {
            scope.annotate(Annotation::mixed_exponential_custom(scope.metric(), scope.span));
            return None;
        }
        if kind.counter && v.reset_hint == ResetHint::Gauge {
            scope.annotate(Annotation::histogram_not_counter(scope.metric(), scope.span));
        }
    }
    let at = |i: usize, t: i64| {
        let point = |i: usize| (h.times[i], &*h.values[i]);
        let say = |a| scope.annotate(a);
        let found = interpolate(&say, scope.span, point(i), point(i + 1), t, kind.counter);
        if found.is_err() {
            scope.annotate(Annotation::mixed_exponential_custom(scope.metric(), scope.span));
        }
        found.ok()
    };
    let left = match smoothed && h.times[first] < window.start {
        true => at(first, window.start)?,
        false => Float::of(&h.values[first]),
    };
    let right = match smoothed && last > 0 && h.times[last] > window.end {
        true => at(last - 1, window.end)?,
        false => Float::of(&h.values[last]),
    };
    if !kind.counter && (left.hint != ResetHint::Gauge || right.hint != ResetHint::Gauge) {
        scope.annotate(Annotation::histogram_not_gauge(scope.metric(), scope.span));
    }
    let mut result = right.clone();
    noted(scope, HistogramOperation::Subtraction, result.subtract(&left))?;
    if kind.counter {
        let bounds = (first, last, window.start);
        if let Some(lost) = correction(scope, h, bounds, left, &right, smoothed)? {
            noted(scope, HistogramOperation::Addition, result.add(&lost))?;
        }
    }
    if kind.per_second {
        result.divide(scope.range_seconds);
    }
    result.hint = ResetHint::Gauge;
    Some(output(&result.compact()))
}

/// What was lost in resets between the two edges; `None` inside when nothing was.
fn correction(
    scope: &Scope<'_>,
    h: &Histograms<'_>,
    (first, last, start): (usize, usize, i64),
    left: Float,
    right: &Float,
    smoothed: bool,
) -> Option<Option<Float>> {
    let mut from = first + 1;
    let mut before = left;
    let spans_reset =
        smoothed && h.times[first] < start && detect_reset(&h.values[first + 1], &h.values[first]);
    if spans_reset {
        // The interpolated left edge took this reset into account.
        before = Float::of(&h.values[first + 1]);
        from += 1;
    }
    if from > last {
        return Some(None);
    }
    let mut lost: Option<Float> = None;
    let mut lose = |before: &Float| match &mut lost {
        None => {
            lost = Some(before.clone());
            Some(())
        }
        Some(lost) => noted(scope, HistogramOperation::Addition, lost.add(before)),
    };
    for v in &h.values[from..last] {
        let now = Float::of(v);
        if detect_reset_float(&now, &before) {
            lose(&before)?;
        }
        before = now;
    }
    if detect_reset_float(right, &before) {
        lose(&before)?;
    }
    Some(lost)
}

fn total(scope: &Scope<'_>, h: &Histograms<'_>, average: bool) -> Output {
    let mut total = Total::new(&h.values[0], average);
    for v in &h.values[1..] {
        total.add(v);
    }
    match total.finish(&|a| scope.annotate(a), scope.span, scope.metric()) {
        Some(h) => output(&h),
        None => Output::Nothing,
    }
}

/// sum_over_time
pub(crate) fn sum(scope: &Scope<'_>, h: &Histograms<'_>) -> Output {
    total(scope, h, false)
}

/// avg_over_time
pub(crate) fn avg(scope: &Scope<'_>, h: &Histograms<'_>) -> Output {
    total(scope, h, true)
}
