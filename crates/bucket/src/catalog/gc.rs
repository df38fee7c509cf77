//! Garbage collection: old versions, and the files that nothing names.
//!
//! 1. read the newest version, the floor, and every version between (`scan.rs`)
//! 2. write the marks that these versions call for (`marks.rs`)
//! 3. raise the floor to the last version that was replaced a grace period ago
//! 4. delete manifests up to the floor, then leaves and blocks that no version
//!    above the floor names
//!
//! A leaf or block goes at once when a version that this run collected named
//! it, and at the orphan age when none did. An attempt to commit it may still
//! be under way, asleep: unless the newest version is so young that whoever
//! built on it found the block too old, the run puts a fence first, a version
//! that changes nothing (C-6). Only versions read between two equal floors count: what lies below the
//! floor may be void, and what a void version names may be committed later
//! (C-5).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::BLOCK_JSON;
use varve_model::TenantId;

use super::error::Result;
use super::floor::{self, Floor};
use super::scan::Names;
use super::tenant::{Inner, Tenant};
use super::{Catalog, Cause, Snapshot};
use crate::bucket::PutOutcome;
use crate::paths::{self, ObjectPath};

/// Requests in flight at once.
const IN_FLIGHT: usize = 16;

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The floor before.
    pub floor_before: u64,
    /// The floor after.
    pub floor: u64,
    /// The newest version, which stays.
    pub newest: u64,
    /// Manifests deleted.
    pub manifests: u64,
    /// Leaves deleted.
    pub leaves: u64,
    /// Blocks deleted that a collected version had named.
    pub replaced: Vec<Ulid>,
    /// Blocks deleted that no version named.
    pub orphans: Vec<Ulid>,
    /// Files of blocks deleted.
    pub files: u64,
}

/// Deletes what nothing needs any more, by the times in the catalog's
/// settings. May run anywhere, any number of times at once, and be killed at
/// any point: what it leaves is deleted by the next run.
pub async fn collect(catalog: &Catalog, tenant: &TenantId) -> Result<Report> {
    let inner = &*catalog.0;
    let state = inner.tenant(tenant);
    let newest = inner.refresh(tenant, &state, true).await?;
    let before = inner.read_floor(tenant, &state).await?;
    let mut report = Report {
        floor_before: before.version,
        floor: before.version,
        newest: newest.version(),
        ..Report::default()
    };
    let now_ms = inner.clock.now_ms();
    let limit_ms = now_ms.saturating_sub(inner.config.grace_ms);
    let scan = inner.scan(tenant, before, &newest, limit_ms).await?;
    if scan.last != newest.version() || scan.last == 0 {
        // There is no catalog (it may be lost, and its blocks all there is to
        // make it from), or another collection went by meanwhile.
        return Ok(report);
    }
    if scan.target > before.version {
        // Only versions that lay above a floor read after them are sure.
        if inner.read_floor(tenant, &state).await? != before {
            return Ok(report);
        }
        match inner.marks_due(&scan, &newest, scan.target).await {
            Ok(marks) => inner.mark(tenant, marks).await?,
            // A leaf that is gone is damage, unless another collection went by.
            Err(error) if inner.read_floor(tenant, &state).await? == before => return Err(error),
            Err(_) => return Ok(report),
        }
        if !inner.raise(tenant, &state, before, scan.target, newest.version()).await? {
            // Another collection is at work; it does what is to be done.
            return Ok(report);
        }
        report.floor = scan.target;
    } else if scan.last > before.version + 1 && before.seen <= before.version + 1 {
        // Something waits to be collected, and what proves how long is to be
        // put down: nobody else may come by.
        if !inner.raise(tenant, &state, before, before.version, newest.version()).await? {
            return Ok(report);
        }
    }
    // Named by what stays, read from versions that existed before the listings
    // below: what is committed later names only what is in these, or young.
    let (live, collected) = inner.names(&newest, scan, report.floor).await?;
    let run = Run { inner, tenant, state, live, collected, now_ms };
    run.delete_manifests(&mut report).await?;
    let mut leaves = run.dead_leaves().await?;
    let mut blocks = run.dead_blocks().await?;
    // An attempt to commit that names one of these may be under way, asleep.
    let fenced = |id: Ulid| age_ms(id, newest.created_ms()) >= inner.config.orphan_ms / 4 * 3;
    let orphans = leaves.iter().chain(&blocks).filter(|dead| dead.orphan);
    if orphans.clone().any(|dead| !fenced(dead.id)) && !run.fence(&newest).await? {
        leaves.retain(|dead| !dead.orphan);
        blocks.retain(|dead| !dead.orphan);
    }
    run.delete_leaves(leaves, &mut report).await?;
    run.delete_blocks(blocks, &mut report).await?;
    Ok(report)
}

/// How old something is whose name was made when it was begun.
fn age_ms(id: Ulid, now_ms: i64) -> i64 {
    now_ms.saturating_sub(i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX))
}

impl Inner {
    async fn raise(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        before: Floor,
        version: u64,
        seen: u64,
    ) -> Result<bool> {
        let raised =
            Floor { sequence: before.sequence + 1, version, seen, created_ms: self.clock.now_ms() };
        let won = floor::raise(&self.bucket, tenant, raised, self.token()).await?;
        if won {
            state.known.lock().floor = raised;
        }
        Ok(won)
    }
}

/// The deletions of one collection.
struct Run<'a> {
    inner: &'a Inner,
    tenant: &'a TenantId,
    state: Arc<Tenant>,
    /// Named by what stays.
    live: Names,
    /// Named by what this run has collected.
    collected: Names,
    /// When it began.
    now_ms: i64,
}

/// A leaf or a block that nothing names.
struct Dead {
    id: Ulid,
    /// A leaf's file name; empty for blocks.
    name: String,
    /// No version that this run collected had named it either.
    orphan: bool,
}

impl Run<'_> {
    /// Makes a version that changes nothing: who built on `newest`, however
    /// long ago, loses the race for its number, looks again, and finds that
    /// its block is too old (C-6). `false` when somebody has been faster.
    async fn fence(&self, newest: &Snapshot) -> Result<bool> {
        let (inner, tenant) = (self.inner, self.tenant);
        let mut manifest = newest.manifest().clone();
        manifest.version += 1;
        manifest.token = inner.token().to_string();
        manifest.created_ms = inner.clock.now_ms();
        manifest.causes = vec![Cause::Fence];
        let version = manifest.version;
        let path = paths::manifest(tenant, version);
        let bytes = manifest.encode()?;
        if inner.bucket.put_if_absent(&path, bytes).await? == PutOutcome::Exists {
            return Ok(false);
        }
        let floor = inner.read_floor(tenant, &self.state).await?;
        if floor.version >= version {
            inner.bucket.delete(&path).await?;
            return Ok(false);
        }
        inner.write_hint(tenant, version, floor).await;
        Ok(true)
    }

    /// Deletes every manifest up to the floor, void ones included.
    async fn delete_manifests(&self, report: &mut Report) -> Result<()> {
        let folder = self.inner.bucket.list_folder(&paths::catalog(self.tenant)).await?;
        let versions: BTreeSet<u64> = folder
            .objects
            .iter()
            .filter_map(|o| paths::manifest_version(o.path.file_name()))
            .filter(|version| *version <= report.floor)
            .collect();
        report.manifests = versions.len() as u64;
        let paths = versions.into_iter().map(|version| paths::manifest(self.tenant, version));
        self.delete_all(paths.collect()).await?;
        self.count("manifest", report.manifests);
        Ok(())
    }

    async fn dead_leaves(&self) -> Result<Vec<Dead>> {
        let folder = self.inner.bucket.list_folder(&paths::leaves(self.tenant)).await?;
        let names = folder.objects.iter().map(|o| o.path.file_name());
        let dead = names.filter_map(|name| {
            let (id, _) = paths::parse_leaf_name(name)?;
            let orphan = !self.collected.leaves.contains(name);
            let dead = !self.live.leaves.contains(name) && (!orphan || self.is_old(id));
            dead.then(|| Dead { id, name: name.to_owned(), orphan })
        });
        Ok(dead.collect())
    }

    async fn dead_blocks(&self) -> Result<Vec<Dead>> {
        let folder = self.inner.bucket.list_folder(&paths::blocks(self.tenant)).await?;
        let ids = folder.folders.iter().filter_map(|id| Ulid::from_string(id).ok());
        let dead = ids.filter_map(|id| {
            let orphan = !self.collected.blocks.contains(&id);
            let dead = !self.live.blocks.contains(&id) && (!orphan || self.is_old(id));
            dead.then(|| Dead { id, name: String::new(), orphan })
        });
        let mut dead: Vec<Dead> = dead.collect();
        dead.sort_by_key(|dead| dead.id);
        Ok(dead)
    }

    async fn delete_leaves(&self, dead: Vec<Dead>, report: &mut Report) -> Result<()> {
        report.leaves = dead.len() as u64;
        let paths = dead.into_iter().map(|dead| paths::leaf(self.tenant, &dead.name));
        self.delete_all(paths.collect()).await?;
        self.count("leaf", report.leaves);
        Ok(())
    }

    async fn delete_blocks(&self, dead: Vec<Dead>, report: &mut Report) -> Result<()> {
        let (bucket, tenant) = (&self.inner.bucket, self.tenant);
        let cuts = dead.iter().filter_map(|dead| self.collected.cuts.get(&dead.id).copied());
        self.inner.put_gone(tenant, cuts.collect()).await?;
        for Dead { id, orphan, .. } in dead {
            // What says that it is a block goes first: a rebuild must not take
            // half a block for one.
            bucket.delete(&paths::block_file(tenant, id, BLOCK_JSON)).await?;
            let folder = paths::block(tenant, id);
            let files = bucket.list(&folder).map_ok(|info| info.path);
            let files: Vec<ObjectPath> = files.try_collect().await?;
            report.files += 1 + files.len() as u64;
            self.delete_all(files).await?;
            if orphan { &mut report.orphans } else { &mut report.replaced }.push(id);
        }
        let old = |id| age_ms(id, self.now_ms) >= 2 * self.inner.config.orphan_ms;
        self.delete_all(self.inner.old_gone(tenant, old).await?).await?;
        self.count("block", (report.replaced.len() + report.orphans.len()) as u64);
        Ok(())
    }

    fn is_old(&self, id: Ulid) -> bool {
        age_ms(id, self.now_ms) >= self.inner.config.orphan_ms
    }

    async fn delete_all(&self, paths: Vec<ObjectPath>) -> Result<()> {
        stream::iter(paths)
            .map(Ok)
            .try_for_each_concurrent(IN_FLIGHT, |path| async move {
                Ok(self.inner.bucket.delete(&path).await?)
            })
            .await
    }

    fn count(&self, kind: &str, deleted: u64) {
        self.inner.bucket.metrics().collected.with_label_values(&[kind]).inc_by(deleted);
    }
}
