//! What a read is about: its tenant, range and partitions, checked.

use std::sync::Arc;

use varve_head::Partition;
use varve_model::{TenantId, TimeRange};
use varve_wire::{convert, v1};

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

/// A checked scope.
pub(crate) struct Scope {
    pub tenant: TenantId,
    pub range: TimeRange,
    pub partitions: Vec<Arc<Partition>>,
}

impl Ingester {
    /// Checks a scope; no partitions means all that are hosted.
    ///
    /// # Errors
    /// When it names no tenant, or a partition that is not hosted.
    pub(crate) fn read_scope(&self, scope: Option<&v1::Scope>) -> Result<Scope> {
        let (tenant, range) = convert::read_scope(scope)?;
        let ids = scope.map(|scope| scope.partitions.as_slice()).unwrap_or_default();
        let partitions = if ids.is_empty() {
            self.partitions.values().map(|hosted| Arc::clone(&hosted.partition)).collect()
        } else {
            ids.iter()
                .map(|id| Ok(Arc::clone(&self.hosted(*id)?.partition)))
                .collect::<Result<_>>()?
        };
        Ok(Scope { tenant, range, partitions })
    }
}

/// Runs work that reads files or codes samples where it may block.
///
/// # Errors
/// Those of the work; `CutOff` when the process ends.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    varve_runtime::spawn_blocking(work).await.map_err(|_| IngesterError::CutOff(what))?
}
