//! Operators on native histograms.
use std::sync::Arc;
use varve_model::Histogram;
use crate::ast::BinaryOp;
use crate::eval::binary::Note;

pub(crate) fn scaled_compact(h: &Arc<Histogram>, _op: BinaryOp, _f: f64) -> Arc<Histogram> { Arc::clone(h) }
pub(crate) fn trimmed(h: &Arc<Histogram>, _f: f64, _upper: bool) -> Arc<Histogram> { Arc::clone(h) }
pub(crate) fn combined(_op: BinaryOp, a: &Arc<Histogram>, _b: &Arc<Histogram>) -> (Option<Arc<Histogram>>, Option<Note>) { (Some(Arc::clone(a)), None) }
