//! Operators on native histograms.

use std::sync::Arc;

use varve_model::{Histogram, ResetHint};

use super::{Float, Incompatible};
use crate::annotations::HistogramOperation;
use crate::ast::BinaryOp;
use crate::eval::binary::Note;

/// A histogram multiplied or divided, empty buckets removed.
pub(crate) fn scaled_compact(h: &Histogram, op: BinaryOp, by: f64) -> Arc<Histogram> {
    let mut float = Float::of(h);
    match op {
        BinaryOp::Div => float.divide(by),
        _ => float.multiply(by),
    }
    Arc::new(float.compact().to_model())
}

/// `</` and `>/`
pub(crate) fn trimmed(h: &Histogram, at: f64, upper: bool) -> Arc<Histogram> {
    let mut float = Float::of(h);
    float.trim(at, upper);
    Arc::new(float.to_model())
}

/// The sum or difference, and what is to be said about it.
pub(crate) fn combined(
    op: BinaryOp,
    a: &Histogram,
    b: &Histogram,
) -> (Option<Arc<Histogram>>, Option<Note>) {
    let (mut float, other) = (Float::of(a), Float::of(b));
    let (operation, found) = match op {
        BinaryOp::Sub => (HistogramOperation::Subtraction, float.subtract(&other)),
        _ => (HistogramOperation::Addition, float.add(&other)),
    };
    let found = match found {
        Ok(found) => found,
        Err(Incompatible) => return (None, Some(Note::Layout)),
    };
    if op == BinaryOp::Sub {
        float.hint = ResetHint::Gauge;
    }
    if found.collision {
        return (None, Some(Note::Collision(operation)));
    }
    let note = found.reconciled.then_some(Note::Bounds(operation));
    (Some(Arc::new(float.compact().to_model())), note)
}
