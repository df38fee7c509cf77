//! Applying changes to a version in memory, and writing what differs.
//!
//! A window that differs gets a new leaf. Where races are lost that would cost
//! each loser a leaf for nothing, and each winner the time to write it: there
//! what is shipped goes into the manifest itself, as fresh entries, until a
//! commit writes the window's leaf again or there are too many of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::BlockEntry;
use varve_model::window_end;

use super::error::{CatalogError, Result};
use super::format::{Leaf, LeafRef, Manifest};
use super::snapshot::Snapshot;
use super::tenant::Inner;
use super::{Cause, Change};
use crate::paths;

/// Leaves written at once.
const WRITES_IN_FLIGHT: usize = 16;

/// The most fresh entries and cuts that a manifest has.
const MAX_FRESH: usize = 1024;

/// Where a commit puts what it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the leaves of the windows.
    Leaves,
    /// Into the manifest, as far as it takes it.
    Manifest,
}

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
    /// Windows that have been looked at.
    windows: BTreeMap<i64, Window>,
    causes: Vec<Cause>,
}

/// A window of a version in the making.
struct Window {
    /// All that it has now.
    all: Leaf,
    /// What the base does not have of it.
    added: Leaf,
    /// Whether it lacks something that the base has.
    removed: bool,
}

impl Window {
    fn is_changed(&self) -> bool {
        self.removed || self.added.len() > 0
    }

    fn remove(&mut self, id: Ulid) {
        self.all.blocks.retain(|b| b.id != id);
        self.added.blocks.retain(|b| b.id != id);
        self.removed = true;
    }
}

impl Draft {
    pub(crate) fn new(base: Arc<Snapshot>) -> Self {
        Self { base, windows: BTreeMap::new(), causes: Vec::new() }
    }

    async fn window(&mut self, window: i64) -> Result<&mut Window> {
        Ok(match self.windows.entry(window) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let all = self.base.window(window).await?;
                entry.insert(Window { all, added: Leaf::empty(window), removed: false })
            }
        })
    }

    async fn lists(&mut self, id: Ulid, range_end: i64) -> Result<bool> {
        let window = self.window(window_end(range_end)).await?;
        Ok(window.all.blocks.binary_search_by_key(&id, |b| b.id).is_ok())
    }

    /// Applies all of a change, or nothing of it. `admit` has the last word on
    /// each added block.
    pub(crate) async fn apply(
        &mut self,
        change: &Change,
        admit: impl Fn(&BlockEntry) -> Result<()>,
    ) -> Result<Applied> {
        if let Cause::Ship(cut) = change.cause {
            let window = self.window(cut.window_end).await?;
            if window.all.cuts.binary_search(&cut).is_ok() {
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
            self.window(window_end(removed.range_end)).await?.remove(removed.id);
        }
        for entry in &change.add {
            let blocks = vec![entry.clone()];
            self.insert(Leaf { blocks, ..Leaf::empty(window_end(entry.range.end)) }).await?;
        }
        if let Cause::Ship(cut) = change.cause {
            self.insert(Leaf { cuts: vec![cut], ..Leaf::empty(cut.window_end) }).await?;
        }
        self.causes.push(change.cause);
        Ok(Applied::Now)
    }

    /// Adds what is not there.
    async fn insert(&mut self, new: Leaf) -> Result<()> {
        let window = self.window(new.window_end).await?;
        window.all.merge(&new);
        window.added.merge(&new);
        Ok(())
    }

    /// The fresh entries of the version, if all that changes can be some.
    fn as_fresh(&self) -> Option<Vec<Leaf>> {
        let mut fresh: BTreeMap<i64, Leaf> =
            self.base.manifest().fresh.iter().map(|leaf| (leaf.window_end, leaf.clone())).collect();
        for (end, window) in self.windows.iter().filter(|(_, window)| window.is_changed()) {
            if window.removed {
                return None;
            }
            fresh.entry(*end).or_insert_with(|| Leaf::empty(*end)).merge(&window.added);
        }
        let all: usize = fresh.values().map(Leaf::len).sum();
        (all <= MAX_FRESH).then(|| fresh.into_values().collect())
    }

    /// All windows that are to be written as leaves: those that have changed and
    /// those that have fresh entries.
    async fn into_leaves(mut self) -> Result<Vec<Leaf>> {
        let base = self.base.clone();
        for fresh in &base.manifest().fresh {
            self.window(fresh.window_end).await?;
        }
        let is_due = |window: &Window| {
            window.is_changed() || base.manifest().fresh_of(window.all.window_end).is_some()
        };
        let windows = self.windows.into_values();
        Ok(windows.filter(is_due).map(|window| window.all).collect())
    }
}

/// A manifest that may be written. The leaves that it needs are in the bucket.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    /// How many requests behind one another it took.
    pub(crate) requests: u32,
}

impl Inner {
    /// Makes a manifest of a draft, and writes the leaves that it calls for.
    /// They are durable when this returns; nothing names them yet.
    pub(crate) async fn write_draft(
        &self,
        draft: Draft,
        place: Place,
        token: Ulid,
    ) -> Result<Written> {
        let (base, now_ms) = (draft.base.clone(), self.clock.now_ms());
        let mut manifest = Manifest {
            version: base.version() + 1,
            token: token.to_string(),
            created_ms: now_ms,
            causes: draft.causes.clone(),
            ..base.manifest().clone()
        };
        base.tenant().as_str().clone_into(&mut manifest.tenant);
        let fresh = match place {
            Place::Manifest => draft.as_fresh(),
            Place::Leaves => None,
        };
        let leaves = match fresh {
            Some(fresh) => {
                manifest.fresh = fresh;
                Vec::new()
            }
            None => {
                manifest.fresh = Vec::new();
                draft.into_leaves().await?
            }
        };
        let refs = &mut manifest.leaves;
        let mut written = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let (reference, bytes) = leaf.encode(token, now_ms)?;
            match refs.binary_search_by_key(&leaf.window_end, |l| l.window_end) {
                Ok(at) => refs[at] = reference.clone(),
                Err(at) => refs.insert(at, reference.clone()),
            }
            self.leaves.remember(base.tenant(), &reference, Arc::new(leaf));
            written.push((reference, bytes));
        }
        // A leaf without blocks only remembers cuts, and those not for ever.
        let oldest = now_ms.saturating_sub(self.config.cut_memory_ms);
        refs.retain(|l| l.blocks > 0 || l.changed_ms > oldest);
        self.put_leaves(base.tenant(), &written).await?;
        let requests = u32::from(!written.is_empty());
        Ok(Written { manifest, requests })
    }

    async fn put_leaves(
        &self,
        tenant: &varve_model::TenantId,
        leaves: &[(LeafRef, bytes::Bytes)],
    ) -> Result<()> {
        stream::iter(leaves)
            .map(Ok)
            .try_for_each_concurrent(WRITES_IN_FLIGHT, |(reference, bytes)| async move {
                let path = paths::leaf(tenant, &reference.name);
                Ok(self.bucket.put(&path, bytes.clone()).await?)
            })
            .await
    }
}
