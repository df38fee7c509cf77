//! What a request is about: its tenant, range and blocks, checked.

use tonic::Status;
use varve_block::{BlockEntry, BlockReader};
use varve_model::{ErrorKind, Matcher, TenantId, TimeRange};
use varve_wire::{convert, status, v1};

use crate::Gateway;

/// A checked request: readers of the blocks that may have an answer.
pub(crate) struct Scope {
    pub readers: Vec<BlockReader>,
    pub range: TimeRange,
}

impl Gateway {
    /// Opens the blocks that a request names, less those that cannot match.
    ///
    /// # Errors
    /// When the scope names no tenant or an entry is not one.
    pub(crate) fn open(
        &self,
        scope: Option<v1::Scope>,
        matchers: &[Matcher],
    ) -> Result<Scope, Status> {
        let (tenant, range) = read_scope(scope.as_ref())?;
        let named = scope.map(|s| s.blocks).unwrap_or_default();
        let mut entries = Vec::with_capacity(named.len());
        for bytes in named {
            let entry: BlockEntry = serde_json::from_slice(&bytes).map_err(|e| {
                status::status(ErrorKind::Invalid, format!("read manifest entry: {e}"))
            })?;
            if entry.may_match(matchers, &range) {
                entries.push(entry);
            }
        }
        let readers = self.readers.of(&tenant, entries);
        self.metrics.blocks.inc_by(readers.len() as u64);
        Ok(Scope { readers, range })
    }
}

fn read_scope(scope: Option<&v1::Scope>) -> Result<(TenantId, TimeRange), Status> {
    convert::read_scope(scope).map_err(|e| status::status(e.kind(), e.to_string()))
}

pub(crate) fn read_matchers(matchers: &[v1::Matcher]) -> Result<Vec<Matcher>, Status> {
    convert::read_matchers(matchers).map_err(|e| status::status(e.kind(), e.to_string()))
}

pub(crate) fn from_block(e: varve_block::BlockError) -> Status {
    status::status(e.kind(), e.to_string())
}
