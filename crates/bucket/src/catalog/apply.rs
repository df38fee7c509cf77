//! Applying changes to a version in memory, and writing the leaves that differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::BlockEntry;
use varve_model::window_end;

use super::error::{CatalogError, Result};
use super::format::{FORMAT, Leaf, LeafRef, Manifest};
use super::snapshot::Snapshot;
use super::tenant::Inner;
use super::{Cause, Change};
use crate::paths;

/// Leaves written at once.
const WRITES_IN_FLIGHT: usize = 16;

/// What applying a change found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The draft has it now.
    Now,
    /// The base has it already.
    Already,
}

/// A version in the making.
pub(crate) struct Draft {
    base: Arc<Snapshot>,
    /// Leaves that have been looked at; `true` = changed.
    leaves: BTreeMap<i64, (Leaf, bool)>,
    causes: Vec<Cause>,
}

impl Draft {
    pub(crate) fn new(base: Arc<Snapshot>) -> Self {
        Self { base, leaves: BTreeMap::new(), causes: Vec::new() }
    }

    async fn leaf(&mut self, window: i64) -> Result<&mut (Leaf, bool)> {
        if !self.leaves.contains_key(&window) {
            let refs = &self.base.manifest().leaves;
            let found = refs.binary_search_by_key(&window, |l| l.window_end);
            let leaf = match found {
                Ok(at) => Leaf::clone(&*self.base.leaf(&refs[at]).await?),
                Err(_) => Leaf::empty(window),
            };
            self.leaves.insert(window, (leaf, false));
        }
        Ok(self.leaves.entry(window).or_insert_with(|| (Leaf::empty(window), false)))
    }

    async fn lists(&mut self, id: Ulid, range_end: i64) -> Result<bool> {
        let (leaf, _) = self.leaf(window_end(range_end)).await?;
        Ok(leaf.blocks.binary_search_by_key(&id, |b| b.id).is_ok())
    }

    /// Applies all of a change, or nothing of it. `admit` has the last word on
    /// each added block.
    pub(crate) async fn apply(
        &mut self,
        change: &Change,
        admit: impl Fn(&BlockEntry) -> Result<()>,
    ) -> Result<Applied> {
        if let Cause::Ship(cut) = change.cause {
            let (leaf, _) = self.leaf(cut.window_end).await?;
            if leaf.cuts.binary_search(&cut).is_ok() {
                return Ok(Applied::Already);
            }
        }
        let mut listed = 0;
        for entry in &change.add {
            listed += usize::from(self.lists(entry.id, entry.range.end).await?);
        }
        if listed > 0 && listed == change.add.len() {
            return Ok(Applied::Already);
        }
        if listed > 0 {
            let detail = format!("{listed} of {} added blocks are listed", change.add.len());
            return Err(CatalogError::Invalid(detail));
        }
        let mut present = Vec::new();
        for removed in &change.remove {
            if self.lists(removed.id, removed.range_end).await? {
                present.push(*removed);
            } else if !change.add.is_empty() {
                let version = self.base.version();
                return Err(CatalogError::BlockGone { id: removed.id, version });
            }
        }
        if change.add.is_empty() && present.is_empty() {
            return Ok(Applied::Already);
        }
        change.add.iter().try_for_each(admit)?;
        for removed in present {
            let (leaf, changed) = self.leaf(window_end(removed.range_end)).await?;
            leaf.blocks.retain(|b| b.id != removed.id);
            *changed = true;
        }
        for entry in &change.add {
            self.insert(entry).await?;
        }
        if let Cause::Ship(cut) = change.cause {
            let (leaf, changed) = self.leaf(cut.window_end).await?;
            if let Err(at) = leaf.cuts.binary_search(&cut) {
                leaf.cuts.insert(at, cut);
                *changed = true;
            }
        }
        self.causes.push(change.cause);
        Ok(Applied::Now)
    }

    async fn insert(&mut self, entry: &BlockEntry) -> Result<()> {
        let (leaf, changed) = self.leaf(window_end(entry.range.end)).await?;
        if let Err(at) = leaf.blocks.binary_search_by_key(&entry.id, |b| b.id) {
            leaf.blocks.insert(at, entry.clone());
            *changed = true;
        }
        Ok(())
    }
}

/// A manifest that may be written, and the leaves that it needs, which are in
/// the bucket.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    leaves: Vec<(LeafRef, bytes::Bytes)>,
}

impl Inner {
    /// Writes the changed leaves of a draft. They are durable when this
    /// returns; nothing names them yet.
    pub(crate) async fn write_leaves(&self, draft: Draft, token: Ulid) -> Result<Written> {
        let Draft { base, leaves, causes } = draft;
        let now_ms = self.clock.now_ms();
        let mut written = Written {
            manifest: Manifest {
                format: FORMAT,
                tenant: base.tenant().to_string(),
                version: base.version() + 1,
                token: token.to_string(),
                created_ms: now_ms,
                causes,
                leaves: base.manifest().leaves.clone(),
                masks: base.manifest().masks.clone(),
            },
            leaves: Vec::new(),
        };
        let refs = &mut written.manifest.leaves;
        for (window, (leaf, changed)) in leaves {
            if !changed {
                continue;
            }
            let (reference, bytes) = leaf.encode(token, now_ms)?;
            match refs.binary_search_by_key(&window, |l| l.window_end) {
                Ok(at) => refs[at] = reference.clone(),
                Err(at) => refs.insert(at, reference.clone()),
            }
            self.leaves.remember(base.tenant(), &reference, Arc::new(leaf));
            written.leaves.push((reference, bytes));
        }
        // A leaf without blocks only remembers cuts, and those not for ever.
        let oldest = now_ms.saturating_sub(self.config.cut_memory_ms);
        refs.retain(|l| l.blocks > 0 || l.changed_ms > oldest);
        self.put_leaves(base.tenant(), &written).await?;
        Ok(written)
    }

    /// Puts the leaves of a manifest, over those that may be there: equal
    /// names have equal content.
    pub(crate) async fn put_leaves(
        &self,
        tenant: &varve_model::TenantId,
        written: &Written,
    ) -> Result<()> {
        stream::iter(&written.leaves)
            .map(Ok)
            .try_for_each_concurrent(WRITES_IN_FLIGHT, |(reference, bytes)| async move {
                let path = paths::leaf(tenant, &reference.name);
                Ok(self.bucket.put(&path, bytes.clone()).await?)
            })
            .await
    }
}
