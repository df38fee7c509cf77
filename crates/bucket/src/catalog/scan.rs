//! What a collection has to know of the versions above the floor: which may
//! go, and which leaves and blocks stay for those that remain.
//!
//! A version may go when a newer one has been *in the bucket* for a grace
//! period. What a manifest says of its own time is not enough: its writer may
//! have slept between writing that and creating it. But a writer has seen the
//! version below its own before it looked at its clock, so version *w* proves
//! of *w*−1 that it was there at `created_ms` of *w*; and a floor object
//! proves it of the version that its writer had seen (C-7).

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_model::TenantId;

use super::error::Result;
use super::floor::Floor;
use super::format::{LeafRef, Manifest};
use super::marks::{Fate, Mark};
use super::tenant::Inner;
use super::{CutKey, Snapshot, chosen};

/// Requests in flight at once.
const IN_FLIGHT: usize = 16;

/// The leaves and blocks that some versions name.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) leaves: HashSet<String>,
    pub(crate) blocks: HashSet<Ulid>,
    /// The cuts of those among the blocks that were shipped.
    pub(crate) cuts: HashMap<Ulid, CutKey>,
}

/// What the versions above a floor say.
#[derive(Default)]
pub(crate) struct Scan {
    /// The last version read.
    pub(crate) last: u64,
    /// The last version that may go; 0 = none.
    pub(crate) target: u64,
    /// When the last version was written, as it says itself.
    pub(crate) last_created_ms: i64,
    /// Each leaf with the last version that names it.
    leaves: HashMap<String, (LeafRef, u64)>,
    /// How each version differs from the one before it.
    steps: Vec<Step>,
}

/// The leaves of a window before and after a version.
struct Step {
    version: u64,
    before: Option<LeafRef>,
    after: Option<LeafRef>,
}

impl Scan {
    fn take(&mut self, manifest: &Manifest, limit_ms: i64) {
        self.last = manifest.version;
        self.last_created_ms = manifest.created_ms;
        if manifest.created_ms <= limit_ms {
            self.target = self.target.max(manifest.version.saturating_sub(2));
        }
        for leaf in &manifest.leaves {
            self.leaves.insert(leaf.name.clone(), (leaf.clone(), manifest.version));
        }
    }

    /// Notes in which leaves two versions differ that follow each other.
    fn step(&mut self, before: &[LeafRef], manifest: &Manifest) {
        let by_window = |l: &LeafRef| (l.window_end, l.clone());
        let mut old: HashMap<i64, LeafRef> = before.iter().map(by_window).collect();
        for leaf in &manifest.leaves {
            let before = old.remove(&leaf.window_end);
            if before.as_ref().is_none_or(|before| before.name != leaf.name) {
                let (version, after) = (manifest.version, Some(leaf.clone()));
                self.steps.push(Step { version, before, after });
            }
        }
        for (_, leaf) in old {
            let version = manifest.version;
            self.steps.push(Step { version, before: Some(leaf), after: None });
        }
    }

    /// Leaves of versions above the target, then those that only versions up
    /// to it name.
    fn split(self, target: u64) -> (Vec<LeafRef>, Vec<LeafRef>) {
        let (live, old): (Vec<_>, Vec<_>) =
            self.leaves.into_values().partition(|(_, last)| *last > target);
        let leaf = |(leaf, _)| leaf;
        (live.into_iter().map(leaf).collect(), old.into_iter().map(leaf).collect())
    }
}

impl Inner {
    /// Reads every version above the floor, lowest first. What was written at
    /// or before `limit_ms` is a grace period old.
    pub(crate) async fn scan(
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
        // Of the version above a floor it is known what it did: the raise of
        // that floor has seen to its marks.
        let mut previous = (floor.version == 0).then(Vec::new);
        // A gap means that another collection went by: then the raise fails,
        // and what is read here only protects.
        while let Some(manifest) = manifests.try_next().await? {
            let Some(manifest) = manifest else { continue };
            scan.take(&manifest, limit_ms);
            if let Some(before) = previous.replace(manifest.leaves.clone()) {
                scan.step(&before, &manifest);
            }
        }
        if floor.seen > floor.version && floor.created_ms <= limit_ms {
            scan.target = scan.target.max(floor.seen - 1);
        }
        // Whatever others have seen, this run knows of nothing newer.
        scan.target = scan.target.min(scan.last.saturating_sub(1));
        Ok(scan)
    }

    /// The marks that the versions up to the one above `target` call for.
    pub(crate) async fn marks_due(
        &self,
        scan: &Scan,
        by: &Snapshot,
        target: u64,
    ) -> Result<Vec<(Ulid, Mark)>> {
        let mut marks = Vec::new();
        for step in scan.steps.iter().filter(|s| s.version <= target + 1) {
            let (before, after) = (levels(by, &step.before).await?, levels(by, &step.after).await?);
            let version = step.version;
            let removed = before.keys().filter(|id| !after.contains_key(id));
            marks.extend(removed.map(|id| (*id, Mark { fate: Fate::Removed, version })));
            let added = after.iter().filter(|(id, level)| !before.contains_key(id) && **level > 0);
            marks.extend(added.map(|(id, _)| (*id, Mark { fate: Fate::Listed, version })));
        }
        Ok(marks)
    }

    /// What stays, and what may go with the versions up to `target`; both by
    /// way of any snapshot of the tenant.
    pub(crate) async fn names(
        &self,
        by: &Snapshot,
        scan: Scan,
        target: u64,
    ) -> Result<(Names, Names)> {
        let (live, old) = scan.split(target);
        Ok((self.names_of(by, live).await?, self.names_of(by, old).await?))
    }

    /// The leaves, and the blocks in them.
    pub(crate) async fn names_of(&self, by: &Snapshot, leaves: Vec<LeafRef>) -> Result<Names> {
        let mut names = Names::default();
        for reference in leaves {
            let leaf = by.leaf(&reference).await?;
            names.blocks.extend(leaf.blocks.iter().map(|b| b.id));
            names.cuts.extend(leaf.blocks.iter().filter_map(|b| Some((b.id, chosen::cut_of(b)?))));
            names.leaves.insert(reference.name);
        }
        Ok(names)
    }
}

/// The blocks of a leaf and their levels.
async fn levels(by: &Snapshot, leaf: &Option<LeafRef>) -> Result<HashMap<Ulid, u32>> {
    let Some(leaf) = leaf else { return Ok(HashMap::new()) };
    Ok(by.leaf(leaf).await?.blocks.iter().map(|b| (b.id, b.level)).collect())
}
