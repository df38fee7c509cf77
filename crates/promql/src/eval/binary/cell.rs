//! An operator between two samples.

use std::sync::Arc;

use varve_model::Histogram;

use crate::annotations::{Annotation, HistogramOperation};
use crate::ast::{BinaryOp, Span};
use crate::eval::histogram::{self, binary as histograms};
use crate::eval::number;
use crate::eval::row::Cell;

/// The value that an operator makes.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// What is to be said about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The operands do not go together: the types of left and right.
    Types(&'static str, &'static str),
    /// Exponential and custom buckets.
    Layout,
    /// A histogram after a reset and one without.
    Collision(HistogramOperation),
    /// Only common custom bounds were kept.
    Bounds(HistogramOperation),
}

impl Note {
    /// The annotation of an operator at `span`.
    pub(super) fn annotation(self, op: BinaryOp, span: Span) -> Annotation {
        match self {
            Self::Types(l, r) => Annotation::incompatible_types(l, op.as_str(), r, span),
            Self::Layout => Annotation::incompatible_bucket_layout(op.as_str(), span),
            Self::Collision(operation) => Annotation::counter_reset_collision(operation, span),
            Self::Bounds(operation) => Annotation::mismatched_custom_buckets(operation, span),
        }
    }
}

/// An operator applied.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    /// `None` when there is no result. That of a comparison is the left operand.
    pub(super) outcome: Option<Outcome>,
    /// Whether a comparison holds; true for other operators.
    pub(super) keep: bool,
    pub(super) note: Option<Note>,
}

impl Applied {
    fn new(outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), keep: true, note: None }
    }

    fn refused(note: Note) -> Self {
        Self { outcome: None, keep: false, note: Some(note) }
    }
}

/// Applies an operator that is no set operator to two samples.
pub(super) fn apply(op: BinaryOp, lhs: Cell<'_>, rhs: Cell<'_>) -> Applied {
    let kind = |c: Cell<'_>| if matches!(c, Cell::Histogram(_)) { "histogram" } else { "float" };
    let refuse = || Applied::refused(Note::Types(kind(lhs), kind(rhs)));
    let histogram = |h: Arc<Histogram>| Applied::new(Outcome::Histogram(h));
    match (lhs, rhs) {
        (Cell::Float(a), Cell::Float(b)) => {
            if let Some(keep) = number::compare(op, a, b) {
                return Applied { outcome: Some(Outcome::Float(a)), keep, note: None };
            }
            number::arithmetic(op, a, b).map_or_else(refuse, |v| Applied::new(Outcome::Float(v)))
        }
        (Cell::Float(a), Cell::Histogram(b)) => match op {
            BinaryOp::Mul => histogram(histograms::scaled_compact(b, op, a)),
            _ => refuse(),
        },
        (Cell::Histogram(a), Cell::Float(b)) => match op {
            BinaryOp::Mul | BinaryOp::Div => histogram(histograms::scaled_compact(a, op, b)),
            BinaryOp::TrimUpper => histogram(histograms::trimmed(a, b, true)),
            BinaryOp::TrimLower => histogram(histograms::trimmed(a, b, false)),
            _ => refuse(),
        },
        (Cell::Histogram(a), Cell::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => match histograms::combined(op, a, b) {
                (Some(h), note) => Applied { note, ..histogram(h) },
                (None, note) => Applied { outcome: None, keep: false, note },
            },
            BinaryOp::Eq | BinaryOp::Ne => {
                let keep = histogram::equal(a, b) == (op == BinaryOp::Eq);
                Applied { keep, ..histogram(Arc::clone(a)) }
            }
            _ => refuse(),
        },
        (Cell::Absent, _) | (_, Cell::Absent) => Applied { outcome: None, keep: false, note: None },
    }
}
