//! Bytes that are charged to a query's budget before they are allocated.

use std::sync::Arc;

use varve_model::ErrorKind;
use varve_promql::source::{Charge, MemoryBudget, OverBudget};

use crate::querier::QueryError;

/// Bytes, and the charge for their capacity.
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    charge: Charge,
}

impl Buffer {
    pub(super) fn new(budget: &Arc<dyn MemoryBudget>) -> Result<Self, QueryError> {
        let charge = Charge::take(budget, 0).map_err(over)?;
        Ok(Self { bytes: Vec::new(), charge })
    }

    /// Makes room for so many more bytes.
    pub(super) fn room(&mut self, more: usize) -> Result<(), QueryError> {
        let (len, capacity) = (self.bytes.len(), self.bytes.capacity());
        if capacity - len < more {
            let wanted = (len + more).max(2 * capacity);
            self.charge.grow(wanted - capacity).map_err(over)?;
            self.bytes.reserve_exact(wanted - len);
        }
        Ok(())
    }

    /// The bytes, and what keeps them charged.
    pub(super) fn into_parts(self) -> (Vec<u8>, Charge) {
        (self.bytes, self.charge)
    }
}

/// More memory than a limit allows.
pub(super) fn over(e: OverBudget) -> QueryError {
    QueryError::new(ErrorKind::Execution, e.to_string())
}
