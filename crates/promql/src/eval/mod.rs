//! Evaluation.

pub(crate) mod date;

use std::sync::Arc;

use crate::ast::Expr;
use crate::engine::{Cancel, EngineError, EngineOptions, Query};
use crate::source::{MemoryBudget, SeriesSource};
use crate::value::QueryOutput;

/// Evaluates one parsed query.
pub(crate) async fn run(
    _options: &EngineOptions,
    _query: &Query,
    _expr: &Expr,
    _source: Arc<dyn SeriesSource>,
    _budget: Arc<dyn MemoryBudget>,
    _cancel: Cancel,
) -> Result<QueryOutput, EngineError> {
    Err(EngineError::unsupported("evaluation"))
}
