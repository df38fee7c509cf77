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

use varve_model::{Counts, Histogram, ResetHint};

pub(crate) use self::arithmetic::{Combined, Incompatible};
pub(crate) use self::float::Float;
pub(crate) use self::reset::detect_reset;
pub(crate) use self::stats::stats;
pub(crate) use self::text::text;
use crate::ast::BinaryOp;

/// Whether two histograms are the same but for the reset hint. Stored ones have
/// no empty buckets ([`of_storage`]); those that an expression has left count.
pub(crate) fn equal(a: &Histogram, b: &Histogram) -> bool {
    Float::of(a).same(&Float::of(b))
}

/// A stored histogram as expressions see it: float counts, no empty buckets,
/// and nothing said of a reset before it.
///
/// Which empty buckets are stored is chance: Prometheus stores all buckets that
/// any histogram of a chunk has. Whether there was a reset is for the engine to
/// find out: storage knows only of the sample that was stored before, which
/// need not be the one that the query sees before. Prometheus' storage does not
/// tell it, either.
pub(crate) fn of_storage(h: &Arc<Histogram>) -> Arc<Histogram> {
    let told = h.reset_hint == ResetHint::CounterReset;
    let (float, empty) = match &h.counts {
        Counts::Float { positive, negative, .. } => {
            (true, positive.contains(&0.0) || negative.contains(&0.0))
        }
        Counts::Int { positive, negative, .. } => {
            (false, positive.contains(&0) || negative.contains(&0))
        }
    };
    if float && !empty && !told {
        return Arc::clone(h);
    }
    let mut seen = match empty {
        true => Float::of(h).compact().to_model(),
        false => h.to_float(),
    };
    if told {
        seen.reset_hint = ResetHint::Unknown;
    }
    Arc::new(seen)
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
