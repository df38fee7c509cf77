//! The `*_over_time` functions.

use std::sync::Arc;

use super::super::histogram::range as histograms;
use super::{Output, Scope, Window};
use crate::annotations::Annotation;
use crate::engine::EngineError;
use crate::eval::kahan::{Mean, Sum};
use crate::eval::number;
use crate::plan::RangeFn;

/// Says that floats and histograms cannot be taken together.
fn is_mixed(scope: &Scope<'_>, window: &Window<'_>) -> bool {
    let mixed = !window.floats.is_empty() && !window.histograms.is_empty();
    if mixed {
        scope.annotate(Annotation::mixed_floats_histograms(scope.metric(), scope.span));
    }
    mixed
}

/// The floats, if any; says when histograms are left out.
fn floats_only<'a>(scope: &Scope<'_>, window: &Window<'a>) -> Option<&'a [f64]> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        scope.annotate(Annotation::histogram_ignored_in_range(scope.metric(), scope.span));
    }
    Some(window.floats.values)
}

pub(crate) fn sum(scope: &Scope<'_>, window: &Window<'_>) -> Result<Output, EngineError> {
    if is_mixed(scope, window) {
        return Ok(Output::Nothing);
    }
    if window.floats.is_empty() {
        return Ok(histograms::sum(scope, &window.histograms));
    }
    let mut sum = Sum::default();
    window.floats.values.iter().for_each(|v| sum.add(*v));
    Ok(Output::Float(if sum.sum.is_infinite() { sum.sum } else { sum.value() }))
}

pub(crate) fn avg(scope: &Scope<'_>, window: &Window<'_>) -> Result<Output, EngineError> {
    if is_mixed(scope, window) {
        return Ok(Output::Nothing);
    }
    if window.floats.is_empty() {
        return Ok(histograms::avg(scope, &window.histograms));
    }
    let mut mean = Mean::new(window.floats.values[0]);
    window.floats.values[1..].iter().for_each(|v| mean.add(*v));
    Ok(Output::Float(mean.value()))
}

/// min, max and the times of them.
pub(crate) fn extreme(scope: &Scope<'_>, window: &Window<'_>, func: RangeFn) -> Output {
    let Some(values) = floats_only(scope, window) else { return Output::Nothing };
    let (mut best, mut time) = (values[0], window.floats.times[0]);
    for (v, t) in values.iter().zip(window.floats.times) {
        let better = match func {
            RangeFn::Min => *v < best,
            RangeFn::Max => *v > best,
            RangeFn::TsOfMin => *v <= best,
            _ => *v >= best,
        };
        if better || best.is_nan() {
            (best, time) = (*v, *t);
        }
    }
    match func {
        RangeFn::Min | RangeFn::Max => Output::Float(best),
        _ => Output::Float(time as f64 / 1000.0),
    }
}

pub(crate) fn first(window: &Window<'_>) -> Output {
    let (f, h) = (&window.floats, &window.histograms);
    match h.values.first() {
        Some(v) if f.is_empty() || h.times[0] <= f.times[0] => Output::Histogram(Arc::clone(v)),
        _ => Output::Float(f.values[0]),
    }
}

pub(crate) fn last(window: &Window<'_>) -> Output {
    let (f, h) = (&window.floats, &window.histograms);
    match h.values.last() {
        Some(v) if f.times.last().is_none_or(|t| h.times[h.len() - 1] >= *t) => {
            Output::Histogram(Arc::clone(v))
        }
        _ => Output::Float(f.values[f.len() - 1]),
    }
}

pub(crate) fn ts_of_first(window: &Window<'_>) -> Output {
    let times = [window.floats.times.first(), window.histograms.times.first()];
    let first = times.into_iter().flatten().min().copied().unwrap_or(i64::MAX);
    Output::Float(first as f64 / 1000.0)
}

pub(crate) fn ts_of_last(window: &Window<'_>) -> Output {
    let times = [window.floats.times.last(), window.histograms.times.last()];
    let last = times.into_iter().flatten().max().copied().unwrap_or(0);
    Output::Float(last as f64 / 1000.0)
}

/// Variance by Welford's method with compensated sums.
pub(crate) fn variance(scope: &Scope<'_>, window: &Window<'_>, of: fn(f64) -> f64) -> Output {
    let Some(values) = floats_only(scope, window) else { return Output::Nothing };
    let (mut mean, mut aux) = (Sum::default(), Sum::default());
    let mut count = 0.0;
    for v in values {
        count += 1.0;
        let delta = v - mean.value();
        mean.add(delta / count);
        aux.add(delta * (v - mean.value()));
    }
    Output::Float(of(aux.value() / count))
}

pub(crate) fn quantile(
    scope: &Scope<'_>,
    window: &Window<'_>,
    q: f64,
    scratch: &mut Vec<f64>,
) -> Output {
    if window.floats.is_empty() {
        return Output::Nothing;
    }
    if q.is_nan() || !(0.0..=1.0).contains(&q) {
        scope.annotate(Annotation::invalid_quantile(q, scope.span));
    }
    let Some(values) = floats_only(scope, window) else { return Output::Nothing };
    scratch.clear();
    scratch.extend_from_slice(values);
    Output::Float(number::quantile(q, scratch))
}

/// Median of the distances to the median; NaN when any value is.
pub(crate) fn mad(scope: &Scope<'_>, window: &Window<'_>, scratch: &mut Vec<f64>) -> Output {
    let Some(values) = floats_only(scope, window) else { return Output::Nothing };
    if values.iter().any(|v| v.is_nan()) {
        return Output::Float(f64::NAN);
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let median = number::quantile(0.5, scratch);
    scratch.iter_mut().for_each(|v| *v = (*v - median).abs());
    Output::Float(number::quantile(0.5, scratch))
}
