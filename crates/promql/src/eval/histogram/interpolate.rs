//! A histogram between two samples.

use varve_model::Histogram;

use super::reset::detect_reset_float;
use super::{Float, Incompatible};
use crate::annotations::{Annotation, HistogramOperation};
use crate::ast::Span;

/// The histogram at `t` between two samples; a counter that was reset started
/// from nothing.
pub(crate) fn interpolate(
    say: &dyn Fn(Annotation),
    span: Span,
    a: (i64, &Histogram),
    b: (i64, &Histogram),
    t: i64,
    counter: bool,
) -> Result<Float, Incompatible> {
    let (first, second) = (Float::of(a.1), Float::of(b.1));
    if t == a.0 {
        return Ok(first);
    }
    if t == b.0 {
        return Ok(second);
    }
    let fraction = (t - a.0) as f64 / (b.0 - a.0) as f64;
    let mut result = second;
    if counter && detect_reset_float(&result, &first) {
        result.multiply(fraction);
        return Ok(result);
    }
    if result.subtract(&first)?.reconciled {
        let operation = HistogramOperation::Subtraction;
        say(Annotation::mismatched_custom_buckets(operation, span));
    }
    result.multiply(fraction);
    if result.add(&first)?.reconciled {
        let operation = HistogramOperation::Addition;
        say(Annotation::mismatched_custom_buckets(operation, span));
    }
    Ok(result)
}
