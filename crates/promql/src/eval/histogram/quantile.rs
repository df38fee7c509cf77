//! Quantiles of native histograms.
use varve_model::Histogram;
use crate::ast::Span;
use crate::eval::context::Context;
pub(crate) fn variance(_h: &Histogram) -> f64 { f64::NAN }
pub(crate) fn quantile(_ctx: &Context<'_>, _q: f64, _h: &Histogram, _name: &str, _span: Span) -> f64 { f64::NAN }
pub(crate) fn fraction(_ctx: &Context<'_>, _l: f64, _u: f64, _h: &Histogram, _name: &str, _span: Span) -> f64 { f64::NAN }
