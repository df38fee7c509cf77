//! One version of a tenant's catalog, as a reader sees it.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use varve_block::BlockEntry;
use varve_model::{TenantId, TimeRange};
use varve_runtime::Clock;

use super::CutKey;
use super::error::{CatalogError, Result};
use super::format::{Leaf, LeafRef, Manifest, MaskRef};
use super::leaves::Leaves;

/// Leaves read at once.
const READS_IN_FLIGHT: usize = 16;

/// An immutable version of a tenant's catalog. Version 0 is empty and has no
/// manifest. Leaves are read when they are needed.
pub struct Snapshot {
    tenant: TenantId,
    manifest: Manifest,
    leaves: Arc<Leaves>,
}

impl Snapshot {
    pub(crate) fn new(tenant: TenantId, manifest: Manifest, leaves: Arc<Leaves>) -> Self {
        Self { tenant, manifest, leaves }
    }

    /// Whose catalog it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The version's number.
    pub fn version(&self) -> u64 {
        self.manifest.version
    }

    /// When it was committed, by the committer's clock, in milliseconds since
    /// the epoch.
    pub fn created_ms(&self) -> i64 {
        self.manifest.created_ms
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The deletion masks in force.
    pub fn masks(&self) -> &[MaskRef] {
        &self.manifest.masks
    }

    /// Number of blocks.
    pub fn block_count(&self) -> u64 {
        self.manifest.leaves.iter().map(|l| l.blocks).sum()
    }

    /// The leaves whose blocks may hold samples of `range`, in order of their
    /// windows. Their names are a key under which a result over `range` may be
    /// cached: it changes when, and only when, an entry there does.
    pub fn leaves(&self, range: TimeRange) -> impl Iterator<Item = &LeafRef> {
        let touches = move |l: &&LeafRef| {
            l.blocks > 0 && TimeRange::new(l.start, l.window_end).overlaps(&range)
        };
        self.manifest.leaves.iter().filter(touches)
    }

    /// Every block that may hold samples of `range`, in order of their windows
    /// and ids. A version that was collected meanwhile is `VersionGone`.
    pub async fn blocks(&self, range: TimeRange) -> Result<Vec<BlockEntry>> {
        let references: Vec<LeafRef> = self.leaves(range).cloned().collect();
        let leaves: Vec<Arc<Leaf>> = stream::iter(references)
            .map(|reference| async move { self.leaf(&reference).await })
            .buffered(READS_IN_FLIGHT)
            .try_collect()
            .await?;
        let all = leaves.iter().flat_map(|leaf| &leaf.blocks);
        Ok(all.filter(|b| b.range.overlaps(&range)).cloned().collect())
    }

    /// Every block.
    pub async fn all_blocks(&self) -> Result<Vec<BlockEntry>> {
        self.blocks(TimeRange::ALL).await
    }

    /// Whether a cut has been committed, its blocks being listed still or
    /// replaced since.
    pub async fn has_cut(&self, cut: CutKey) -> Result<bool> {
        let leaves = &self.manifest.leaves;
        let Ok(at) = leaves.binary_search_by_key(&cut.window_end, |l| l.window_end) else {
            return Ok(false);
        };
        Ok(self.leaf(&leaves[at]).await?.cuts.binary_search(&cut).is_ok())
    }

    pub(crate) async fn leaf(&self, reference: &LeafRef) -> Result<Arc<Leaf>> {
        match self.leaves.read(&self.tenant, reference).await {
            Err(CatalogError::Bucket(error)) if error.is_not_found() => {
                let (tenant, version) = (self.tenant.clone(), self.version());
                Err(CatalogError::VersionGone { tenant, version, floor: version })
            }
            other => other,
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("tenant", &self.tenant)
            .field("version", &self.version())
            .field("blocks", &self.block_count())
            .finish_non_exhaustive()
    }
}

/// A snapshot that a reader holds, for a bounded time: the files it names are
/// sure to be there until then.
#[derive(Clone)]
pub struct Pin {
    snapshot: Arc<Snapshot>,
    clock: Arc<dyn Clock>,
    until_ms: i64,
}

impl Pin {
    pub(crate) fn new(snapshot: Arc<Snapshot>, clock: Arc<dyn Clock>, until_ms: i64) -> Self {
        Self { snapshot, clock, until_ms }
    }

    /// The snapshot, or `VersionGone` when it has been held for too long.
    pub fn snapshot(&self) -> Result<&Arc<Snapshot>> {
        if self.clock.now_ms() < self.until_ms {
            return Ok(&self.snapshot);
        }
        let (tenant, version) = (self.snapshot.tenant().clone(), self.snapshot.version());
        Err(CatalogError::VersionGone { tenant, version, floor: version })
    }

    /// The pinned version's number.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }
}
