//! Native histograms in expressions.

pub(crate) mod range;

use std::sync::Arc;

use varve_model::Histogram;

/// Whether the counts went down between two histograms.
pub(crate) fn detect_reset(_now: &Arc<Histogram>, _before: &Arc<Histogram>) -> bool {
    false
}

/// Whether two histograms are the same.
pub(crate) fn equal(a: &Arc<Histogram>, b: &Arc<Histogram>) -> bool {
    a == b
}

pub(crate) mod binary;
pub(crate) mod quantile;

/// A histogram multiplied or divided.
pub(crate) fn scaled(h: &Arc<Histogram>, _op: crate::ast::BinaryOp, _f: f64) -> Arc<Histogram> {
    Arc::clone(h)
}
pub(crate) mod aggregate;

/// How `count_values` names a histogram.
pub(crate) fn text(_h: &Histogram) -> String { String::new() }
