//! Native histograms in expressions.
//!
//! Arithmetic works on [`Float`]: buckets by index, every number with a
//! compensation, so that one type serves plain and compensated sums. Samples
//! stay [`varve_model::Histogram`]s. The rules are those of Prometheus
//! (model/histogram/float_histogram.go, promql/quantile.go).

pub(crate) mod aggregate;
mod arithmetic;
pub(crate) mod binary;
pub(crate) mod bounds;
mod float;
pub(crate) mod interpolate;
pub(crate) mod quantile;
pub(crate) mod range;
mod reset;
mod stats;
mod table;
mod text;
mod trim;
mod zero;

use std::sync::Arc;

use varve_model::Histogram;

pub(crate) use self::arithmetic::{Combined, Incompatible};
pub(crate) use self::float::Float;
pub(crate) use self::reset::detect_reset;
pub(crate) use self::stats::stats;
pub(crate) use self::text::text;
use crate::ast::BinaryOp;

/// Whether two histograms hold the same observations: all but the reset hint,
/// empty buckets not counted.
pub(crate) fn equal(a: &Histogram, b: &Histogram) -> bool {
    let (a, b) = (Float::of(a).compact(), Float::of(b).compact());
    let bits = |v: &[(i32, crate::eval::kahan::Sum)]| {
        v.iter().map(|(i, s)| (*i, s.sum.to_bits())).collect::<Vec<_>>()
    };
    a.schema == b.schema
        && a.count.sum.to_bits() == b.count.sum.to_bits()
        && a.sum.sum.to_bits() == b.sum.sum.to_bits()
        && a.bounds == b.bounds
        && a.zero_threshold == b.zero_threshold
        && a.zero.sum.to_bits() == b.zero.sum.to_bits()
        && bits(&a.positive) == bits(&b.positive)
        && bits(&a.negative) == bits(&b.negative)
}

/// A histogram multiplied or divided.
pub(crate) fn scaled(h: &Histogram, op: BinaryOp, by: f64) -> Arc<Histogram> {
    let mut float = Float::of(h);
    match op {
        BinaryOp::Div => float.divide(by),
        _ => float.multiply(by),
    }
    Arc::new(float.to_model())
}
