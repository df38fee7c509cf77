//! Sums and averages of native histograms.
use std::sync::Arc;
use varve_model::Histogram;
use crate::ast::Span;
use crate::engine::EngineError;
use crate::eval::context::Context;

pub(crate) struct Total { h: Arc<Histogram> }
impl Total {
    pub(crate) fn new(h: &Arc<Histogram>, _avg: bool) -> Self { Self { h: Arc::clone(h) } }
    pub(crate) fn add(&mut self, _ctx: &Context<'_>, _span: Span, _metric: &str, _h: &Arc<Histogram>) -> Result<(), EngineError> {
        Err(EngineError::unsupported("aggregation of native histograms"))
    }
    pub(crate) fn finish(self, _ctx: &Context<'_>, _span: Span) -> Option<Arc<Histogram>> { Some(self.h) }
}
