//! deriv, predict_linear, double_exponential_smoothing.
//!
//! Source: Prometheus, promql/functions.go `linearRegression`.

use super::{Floats, Output, Scope, Window};
use crate::annotations::Annotation;
use crate::engine::EngineError;
use crate::eval::kahan::Sum;

/// Slope and intercept at `intercept_time` of the least-squares line.
fn linear(f: &Floats<'_>, intercept_time: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum) = (Sum::default(), Sum::default());
    let (mut xy_sum, mut xx_sum) = (Sum::default(), Sum::default());
    let first = f.values[0];
    let mut constant = true;
    for (i, (t, y)) in f.times.iter().zip(f.values).enumerate() {
        if constant && i > 0 && *y != first {
            constant = false;
        }
        let x = (t - intercept_time) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = f.len() as f64;
    let (x, y, xy, xx) = (x_sum.value(), y_sum.value(), xy_sum.value(), xx_sum.value());
    let covariance = xy - x * y / n;
    let variance = xx - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Whether there are two floats; says when histograms are left out.
fn enough(scope: &Scope<'_>, window: &Window<'_>) -> bool {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        scope.annotate(Annotation::histogram_ignored_in_range(scope.metric(), scope.span));
    }
    window.floats.len() >= 2
}

pub(crate) fn deriv(scope: &Scope<'_>, window: &Window<'_>) -> Output {
    if !enough(scope, window) {
        return Output::Nothing;
    }
    // Any time near the samples keeps the sums exact.
    Output::Float(linear(&window.floats, window.floats.times[0]).0)
}

pub(crate) fn predict_linear(scope: &Scope<'_>, window: &Window<'_>, duration: f64) -> Output {
    if !enough(scope, window) {
        return Output::Nothing;
    }
    let (slope, intercept) = linear(&window.floats, window.time);
    Output::Float(slope * duration + intercept)
}

pub(crate) fn double_exponential(
    scope: &Scope<'_>,
    window: &Window<'_>,
    smoothing: f64,
    trend: f64,
) -> Result<Output, EngineError> {
    for (what, short, v) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
        if v <= 0.0 || v >= 1.0 {
            let got = if v.is_infinite() { crate::number::fixed(v) } else { format!("{v:.6}") };
            let message = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {got}");
            return Err(EngineError::execution(message));
        }
    }
    if !enough(scope, window) {
        return Ok(Output::Nothing);
    }
    let values = window.floats.values;
    let (mut before, mut smoothed) = (0.0, values[0]);
    let mut b = values[1] - values[0];
    for (i, v) in values.iter().enumerate().skip(1) {
        let x = smoothing * v;
        if i > 1 {
            let x = trend * (smoothed - before);
            let y = (1.0 - trend) * b;
            b = x + y;
        }
        let y = (1.0 - smoothing) * (smoothed + b);
        (before, smoothed) = (smoothed, x + y);
    }
    Ok(Output::Float(smoothed))
}
