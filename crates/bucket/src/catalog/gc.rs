//! Garbage collection: old versions, and the files that nothing names.
//!
//! 1. read the newest version, the floor, and every version between
//! 2. raise the floor to the last version that was replaced a grace period ago
//! 3. delete manifests up to the floor, lowest first, then leaves and blocks
//!    that no version above the floor names
//!
//! A leaf or block goes at once when a version that this run collected named
//! it, and at the orphan age when none did (its commit may be under way).
//! Only versions read between two equal floors count: what lies below the
//! floor may be void, and what a void version names may be committed later
//! (C-5).

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::BLOCK_JSON;
use varve_model::TenantId;

use super::error::Result;
use super::floor::{self, Floor};
use super::format::{LeafRef, Manifest};
use super::tenant::{Inner, Tenant};
use super::{Catalog, Snapshot};
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
    let mut collected = Names::default();
    if let Some(target) = scan.target {
        if !inner.raise(tenant, &state, before, target).await? {
            // Another collection is at work; it does what is to be done.
            return Ok(report);
        }
        report.floor = target;
        collected = inner.names(&newest, scan.old).await?;
    }
    // Named by what stays, read from versions that existed before the listings
    // below: what is committed later names only what is in these, or young.
    let live = inner.names(&newest, scan.live).await?;
    inner.delete_manifests(tenant, &mut report).await?;
    inner.delete_leaves(tenant, &live, &collected, now_ms, &mut report).await?;
    inner.delete_blocks(tenant, &live, &collected, now_ms, &mut report).await?;
    Ok(report)
}

/// The leaves and blocks that some versions name.
#[derive(Default)]
struct Names {
    leaves: HashSet<String>,
    blocks: HashSet<Ulid>,
}

/// What the versions above a floor say.
#[derive(Default)]
struct Scan {
    /// The last version read.
    last: u64,
    /// The last version to collect.
    target: Option<u64>,
    /// Leaves of the versions up to `target`, by name.
    old: HashMap<String, LeafRef>,
    /// Leaves of the versions above it, by name.
    live: HashMap<String, LeafRef>,
}

impl Scan {
    fn take(&mut self, manifest: Manifest, collect: bool) {
        if collect {
            self.target = Some(manifest.version);
        }
        let leaves = if collect { &mut self.old } else { &mut self.live };
        leaves.extend(manifest.leaves.into_iter().map(|l| (l.name.clone(), l)));
    }
}

impl Inner {
    /// Reads every version above the floor, lowest first. A version is to be
    /// collected when its successor, and so every one before, was written at
    /// or before `limit_ms`.
    async fn scan(
        &self,
        tenant: &TenantId,
        floor: Floor,
        newest: &Snapshot,
        limit_ms: i64,
    ) -> Result<Scan> {
        let mut scan = Scan::default();
        let mut manifests = stream::iter(floor.version + 1..=newest.version())
            .map(|version| self.read_manifest(tenant, version))
            .buffered(IN_FLIGHT);
        let mut previous: Option<Manifest> = None;
        let mut collecting = true;
        // A gap means that another collection went by: then the raise fails,
        // and what is read here only protects.
        while let Some(manifest) = manifests.try_next().await? {
            let Some(manifest) = manifest else { continue };
            scan.last = manifest.version;
            let created_ms = manifest.created_ms;
            if let Some(previous) = previous.replace(manifest) {
                collecting &= created_ms <= limit_ms;
                scan.take(previous, collecting);
            }
        }
        if let Some(newest) = previous {
            scan.take(newest, false);
        }
        Ok(scan)
    }

    async fn raise(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        before: Floor,
        version: u64,
    ) -> Result<bool> {
        let (token, now_ms) = (self.token(), self.clock.now_ms());
        let raised = floor::raise(&self.bucket, tenant, before, version, token, now_ms).await?;
        if let Some(raised) = raised {
            state.known.lock().floor = raised;
        }
        Ok(raised.is_some())
    }

    /// The leaves and the blocks in them, read by way of any snapshot of the
    /// tenant.
    async fn names(&self, by: &Snapshot, leaves: HashMap<String, LeafRef>) -> Result<Names> {
        let mut names = Names::default();
        for (name, reference) in leaves {
            let leaf = by.leaf(&reference).await?;
            names.blocks.extend(leaf.blocks.iter().map(|b| b.id));
            names.leaves.insert(name);
        }
        Ok(names)
    }

    /// Deletes every manifest up to the floor, void ones included. Lowest
    /// first, so that those that stay have no gap whenever this stops.
    async fn delete_manifests(&self, tenant: &TenantId, report: &mut Report) -> Result<()> {
        let folder = self.bucket.list_folder(&paths::catalog(tenant)).await?;
        let versions: BTreeSet<u64> = folder
            .objects
            .iter()
            .filter_map(|o| paths::manifest_version(o.path.file_name()))
            .filter(|version| *version <= report.floor)
            .collect();
        for version in versions {
            self.bucket.delete(&paths::manifest(tenant, version)).await?;
            report.manifests += 1;
        }
        self.count("manifest", report.manifests);
        Ok(())
    }

    async fn delete_leaves(
        &self,
        tenant: &TenantId,
        live: &Names,
        collected: &Names,
        now_ms: i64,
        report: &mut Report,
    ) -> Result<()> {
        let folder = self.bucket.list_folder(&paths::leaves(tenant)).await?;
        let gone: Vec<ObjectPath> = folder
            .objects
            .into_iter()
            .map(|o| o.path)
            .filter(|path| {
                let name = path.file_name();
                let Some((token, _)) = paths::parse_leaf_name(name) else { return false };
                let orphan = self.is_orphan(token, now_ms);
                !live.leaves.contains(name) && (collected.leaves.contains(name) || orphan)
            })
            .collect();
        report.leaves = gone.len() as u64;
        self.delete_all(gone).await?;
        self.count("leaf", report.leaves);
        Ok(())
    }

    async fn delete_blocks(
        &self,
        tenant: &TenantId,
        live: &Names,
        collected: &Names,
        now_ms: i64,
        report: &mut Report,
    ) -> Result<()> {
        let folder = self.bucket.list_folder(&paths::blocks(tenant)).await?;
        let mut ids: Vec<Ulid> =
            folder.folders.iter().filter_map(|id| Ulid::from_string(id).ok()).collect();
        ids.sort();
        for id in ids {
            if live.blocks.contains(&id) {
                continue;
            }
            let replaced = collected.blocks.contains(&id);
            if !replaced && !self.is_orphan(id, now_ms) {
                continue;
            }
            // What says that it is a block goes first: a rebuild must not take
            // half a block for one.
            self.bucket.delete(&paths::block_file(tenant, id, BLOCK_JSON)).await?;
            let folder = paths::block(tenant, id);
            let files = self.bucket.list(&folder).map_ok(|info| info.path);
            let files: Vec<ObjectPath> = files.try_collect().await?;
            report.files += 1 + files.len() as u64;
            self.delete_all(files).await?;
            if replaced { &mut report.replaced } else { &mut report.orphans }.push(id);
        }
        self.count("block", (report.replaced.len() + report.orphans.len()) as u64);
        Ok(())
    }

    fn is_orphan(&self, id: Ulid, now_ms: i64) -> bool {
        let begun = i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(begun) >= self.config.orphan_ms
    }

    async fn delete_all(&self, paths: Vec<ObjectPath>) -> Result<()> {
        stream::iter(paths)
            .map(Ok)
            .try_for_each_concurrent(IN_FLIGHT, |path| async move {
                Ok(self.bucket.delete(&path).await?)
            })
            .await
    }

    fn count(&self, kind: &str, deleted: u64) {
        self.bucket.metrics().collected.with_label_values(&[kind]).inc_by(deleted);
    }
}
