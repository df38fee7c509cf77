//! The memory of a result until its client has it: the engine gives back what
//! it took when it ends, so the result is charged anew.

use std::sync::Arc;

use varve_api::QueryError;
use varve_model::ErrorKind;
use varve_promql::source::{Charge, MemoryBudget};
use varve_promql::value::{InstantSample, QueryValue, Value};
use varve_query::Session;

/// Charges a result to its query's budget.
///
/// # Errors
/// When it does not fit.
pub(crate) fn hold(session: &Session, value: &QueryValue) -> Result<Arc<Charge>, QueryError> {
    let budget: Arc<dyn MemoryBudget> = session.budget();
    let charge = Charge::take(&budget, memory(value));
    charge.map(Arc::new).map_err(|e| QueryError::new(ErrorKind::Execution, e.to_string()))
}

/// Bytes of memory behind a result.
fn memory(value: &QueryValue) -> usize {
    let sample = |s: &InstantSample| {
        let histogram = match &s.value {
            Value::Float(_) => 0,
            Value::Histogram(h) => h.memory(),
        };
        size_of::<InstantSample>() + s.labels.memory() + histogram
    };
    match value {
        QueryValue::Scalar { .. } => 0,
        QueryValue::String { value, .. } => value.len(),
        QueryValue::Vector(samples) => samples.iter().map(sample).sum(),
        QueryValue::Matrix(series) => series.iter().map(|s| size_of_val(s) + s.memory()).sum(),
    }
}
