//! What a read is about: its tenant, range and partitions, checked.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use varve_head::{HeadRead, Partition};
use varve_model::{Matcher, TenantId, TimeRange};
use varve_wire::{convert, v1};

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

/// A checked scope.
pub(crate) struct Scope {
    pub tenant: TenantId,
    pub range: TimeRange,
    pub partitions: Vec<Arc<Partition>>,
    /// The version whose blocks are read, too.
    beside_version: u64,
}

impl Scope {
    /// What each partition has of the series that match.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<HeadRead> {
        let Self { tenant, range, partitions, beside_version } = self;
        let select =
            |p: &Arc<Partition>| p.select_beside(*beside_version, tenant, matchers, *range);
        partitions.iter().map(select).collect()
    }
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
        let beside_version = scope.map_or(0, |scope| scope.beside_version);
        Ok(Scope { tenant, range, partitions, beside_version })
    }

    /// Waits until another snapshot of recent series may be held.
    ///
    /// # Errors
    /// `CutOff` when the process ends.
    pub(crate) async fn permit(&self, what: &'static str) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.selects).acquire_owned().await;
        permit.map_err(|_| IngesterError::CutOff(what))
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
