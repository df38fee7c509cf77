//! Garbage collection: old versions, and the files that nothing names.
//!
//! 1. read the newest version, the floor, and every version between (`scan.rs`)
//! 2. write the marks that these versions call for (`marks.rs`)
//! 3. raise the floor to the last version that was replaced a grace period ago
//! 4. delete manifests up to the floor, then leaves and blocks that no version
//!    above the floor names
//!
//! A leaf or block goes at once when a version that this run collected named
//! it, and at the orphan age when none did (its commit may be under way).
//! Only versions read between two equal floors count: what lies below the
//! floor may be void, and what a void version names may be committed later
//! (C-5).

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::BLOCK_JSON;
use varve_model::TenantId;

use super::Catalog;
use super::error::Result;
use super::floor::{self, Floor};
use super::scan::Names;
use super::tenant::{Inner, Tenant};
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
            Err(error) if error.is_version_gone() => return Ok(report),
            Err(error) => return Err(error),
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
    let (mut live, collected) = inner.names(&newest, scan, report.floor).await?;
    // A commit that was taken back since the scan names again what it replaced.
    for version in newest.version() + 1.. {
        let Some(manifest) = inner.read_manifest(tenant, version).await? else { break };
        let later = inner.names_of(&newest, manifest.leaves).await?;
        live.leaves.extend(later.leaves);
        live.blocks.extend(later.blocks);
    }
    let run = Run { inner, tenant, live, collected, now_ms };
    run.delete_manifests(&mut report).await?;
    run.delete_leaves(&mut report).await?;
    run.delete_blocks(&mut report).await?;
    Ok(report)
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
    /// Named by what stays.
    live: Names,
    /// Named by what this run has collected.
    collected: Names,
    /// When it began.
    now_ms: i64,
}

impl Run<'_> {
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

    async fn delete_leaves(&self, report: &mut Report) -> Result<()> {
        let folder = self.inner.bucket.list_folder(&paths::leaves(self.tenant)).await?;
        let gone: Vec<ObjectPath> = folder
            .objects
            .into_iter()
            .map(|o| o.path)
            .filter(|path| {
                let name = path.file_name();
                let Some((token, _)) = paths::parse_leaf_name(name) else { return false };
                let orphan = self.is_orphan(token);
                !self.live.leaves.contains(name) && (self.collected.leaves.contains(name) || orphan)
            })
            .collect();
        report.leaves = gone.len() as u64;
        self.delete_all(gone).await?;
        self.count("leaf", report.leaves);
        Ok(())
    }

    async fn delete_blocks(&self, report: &mut Report) -> Result<()> {
        let (bucket, tenant) = (&self.inner.bucket, self.tenant);
        let folder = bucket.list_folder(&paths::blocks(tenant)).await?;
        let mut ids: Vec<Ulid> =
            folder.folders.iter().filter_map(|id| Ulid::from_string(id).ok()).collect();
        ids.sort();
        for id in ids {
            if self.live.blocks.contains(&id) {
                continue;
            }
            let replaced = self.collected.blocks.contains(&id);
            if !replaced && !self.is_orphan(id) {
                continue;
            }
            if self.is_late() {
                // It has slept. What it knows may be out of date.
                break;
            }
            // What says that it is a block goes first: a rebuild must not take
            // half a block for one.
            bucket.delete(&paths::block_file(tenant, id, BLOCK_JSON)).await?;
            let folder = paths::block(tenant, id);
            let files = bucket.list(&folder).map_ok(|info| info.path);
            let files: Vec<ObjectPath> = files.try_collect().await?;
            report.files += 1 + files.len() as u64;
            self.delete_all(files).await?;
            if replaced { &mut report.replaced } else { &mut report.orphans }.push(id);
        }
        self.count("block", (report.replaced.len() + report.orphans.len()) as u64);
        Ok(())
    }

    fn is_orphan(&self, id: Ulid) -> bool {
        let begun = i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX);
        self.now_ms.saturating_sub(begun) >= self.inner.config.orphan_ms
    }

    fn is_late(&self) -> bool {
        let passed = self.inner.clock.now_ms().saturating_sub(self.now_ms);
        passed >= self.inner.config.grace_ms / 2
    }

    async fn delete_all(&self, paths: Vec<ObjectPath>) -> Result<()> {
        stream::iter(paths)
            .filter(|_| std::future::ready(!self.is_late()))
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
