//! A histogram as text, which `count_values` makes a label value.

use std::fmt::Write;

use varve_model::{Counts, Histogram};

use super::Float;
use super::bounds::{bucket, zero_bucket};
use crate::engine::EngineError;
use crate::number::general;

/// `{count:6, sum:8.4, [-1,1]:1, (1,2]:5}`
///
/// # Errors
/// A histogram with custom buckets that an infinity was multiplied with has NaN
/// in a zero bucket that it does not have; Prometheus cannot write it.
pub(crate) fn text(h: &Histogram) -> Result<String, EngineError> {
    let mut out = format!("{{count:{}, sum:{}", general(h.count()), general(h.sum));
    let zero = match &h.counts {
        Counts::Float { zero, .. } => *zero,
        Counts::Int { zero, .. } => *zero as f64,
    };
    if h.uses_custom_buckets() && zero != 0.0 {
        return Err(EngineError::execution("histograms with custom buckets have no zero bucket"));
    }
    let h = Float::of(h);
    // A zero bucket below zero counts here, as nowhere else.
    let negative = h.negative.iter().rev().map(|(i, s)| bucket(&h, false, *i, s.sum));
    let positive = h.positive.iter().map(|(i, s)| bucket(&h, true, *i, s.sum));
    let all = negative.chain([zero_bucket(&h)]).chain(positive);
    for b in all.filter(|b| b.count != 0.0) {
        let open = if b.lower_inclusive { '[' } else { '(' };
        let close = if b.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) = (general(b.lower), general(b.upper), general(b.count));
        // Writing to a string cannot fail.
        let _ = write!(out, ", {open}{lower},{upper}{close}:{count}");
    }
    out.push('}');
    Ok(out)
}
