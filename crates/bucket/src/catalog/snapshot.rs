//! One version of a tenant's catalog, as a reader sees it.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use varve_block::BlockEntry;
use varve_model::{TenantId, TimeRange, window_end};
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
        let fresh: usize = self.manifest.fresh.iter().map(|f| f.blocks.len()).sum();
        self.manifest.leaves.iter().map(|l| l.blocks).sum::<u64>() + fresh as u64
    }

    /// The leaves whose blocks may hold samples of `range`, in order of their
    /// windows. With the ids of [`Self::fresh`] their names are a key under
    /// which a result over `range` may be cached: when an entry there changes,
    /// one of them does.
    pub fn leaves(&self, range: TimeRange) -> impl Iterator<Item = &LeafRef> {
        let touches = move |l: &&LeafRef| {
            l.blocks > 0 && TimeRange::new(l.start, l.window_end).overlaps(&range)
        };
        self.manifest.leaves.iter().filter(touches)
    }

    /// Blocks that are in no leaf yet and may hold samples of `range`.
    pub fn fresh(&self, range: TimeRange) -> impl Iterator<Item = &BlockEntry> {
        let all = self.manifest.fresh.iter().flat_map(|leaf| &leaf.blocks);
        all.filter(move |block| block.range.overlaps(&range))
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
        let mut all: Vec<_> = all.filter(|b| b.range.overlaps(&range)).cloned().collect();
        let in_leaves = all.len();
        all.extend(self.fresh(range).cloned());
        if all.len() > in_leaves {
            all.sort_by_key(|b| (window_end(b.range.end), b.id));
        }
        Ok(all)
    }

    /// Every block.
    pub async fn all_blocks(&self) -> Result<Vec<BlockEntry>> {
        self.blocks(TimeRange::ALL).await
    }

    /// Whether a cut has been committed, its blocks being listed still or
    /// replaced since.
    pub async fn has_cut(&self, cut: CutKey) -> Result<bool> {
        let has = |leaf: &Leaf| leaf.cuts.binary_search(&cut).is_ok();
        if self.manifest.fresh_of(cut.window_end).is_some_and(has) {
            return Ok(true);
        }
        match self.manifest.leaf_of(cut.window_end) {
            Some(reference) => Ok(has(&*self.leaf(reference).await?)),
            None => Ok(false),
        }
    }

    /// All that a window has, whether it is in its leaf yet or not.
    pub(crate) async fn window(&self, window: i64) -> Result<Leaf> {
        let mut all = match self.manifest.leaf_of(window) {
            Some(reference) => Leaf::clone(&*self.leaf(reference).await?),
            None => Leaf::empty(window),
        };
        if let Some(fresh) = self.manifest.fresh_of(window) {
            all.merge(fresh);
        }
        Ok(all)
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
