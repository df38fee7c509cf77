//! Why a read failed.

use varve_block::BlockError;
use varve_bucket::CatalogError;
use varve_model::ErrorKind;
use varve_promql::source::{OverBudget, SourceError};
use varve_wire::convert::ConvertError;

/// Why a read failed; the message names the source.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
}

impl QueryError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a source answered in place of data.
    pub fn from_status(source: &str, status: &tonic::Status) -> Self {
        let kind = varve_wire::status::kind(status);
        Self::new(kind, format!("{source}: {}", status.message()))
    }
}

impl From<CatalogError> for QueryError {
    fn from(e: CatalogError) -> Self {
        Self::new(e.kind(), format!("read catalog: {e}"))
    }
}

impl From<BlockError> for QueryError {
    fn from(e: BlockError) -> Self {
        Self::new(e.kind(), e.to_string())
    }
}

impl From<ConvertError> for QueryError {
    fn from(e: ConvertError) -> Self {
        Self::new(ErrorKind::Corrupt, format!("read answer: {e}"))
    }
}

impl From<OverBudget> for QueryError {
    fn from(e: OverBudget) -> Self {
        Self::new(e.kind(), e.to_string())
    }
}

impl From<QueryError> for SourceError {
    fn from(e: QueryError) -> Self {
        Self { kind: e.kind, message: e.message }
    }
}
