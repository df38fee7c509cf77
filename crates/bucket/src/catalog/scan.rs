//! What a collection has to know of the versions above the floor: which may
//! go, and which leaves and blocks stay for those that remain.
//!
//! A version may go when a newer one has been *in the bucket* for a grace
//! period. What a manifest says of its own time is not enough: its writer may
//! have slept between writing that and creating it. But a writer has seen the
//! version below its own before it looked at its clock, so version *w* proves
//! of *w*−1 that it was there at `created_ms` of *w*; and a floor object
//! proves it of the version that its writer had seen (C-7).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_model::TenantId;

use super::error::Result;
use super::floor::Floor;
use super::format::{LeafRef, Manifest};
use super::marks::{Fate, Mark};
use super::newest::empty;
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
    /// Each block that was in no leaf yet with the last version in which it
    /// was not.
    fresh: HashMap<Ulid, (Option<CutKey>, u64)>,
    /// How each version differs from the one before it.
    steps: Vec<Step>,
}

/// A window before and after a version.
struct Step {
    version: u64,
    before: Window,
    after: Window,
}

/// What a version says of a window.
#[derive(PartialEq)]
struct Window {
    leaf: Option<LeafRef>,
    /// The blocks that are in no leaf yet, with their levels.
    fresh: BTreeMap<Ulid, u32>,
}

impl Window {
    fn of(manifest: &Manifest, window: i64) -> Self {
        let fresh = manifest.fresh_of(window).into_iter().flat_map(|fresh| &fresh.blocks);
        let leaf = manifest.leaf_of(window).cloned();
        Self { leaf, fresh: fresh.map(|b| (b.id, b.level)).collect() }
    }

    /// The blocks and their levels.
    async fn levels(&self, by: &Snapshot) -> Result<HashMap<Ulid, u32>> {
        let mut levels: HashMap<_, _> = self.fresh.iter().map(|(id, l)| (*id, *l)).collect();
        if let Some(reference) = &self.leaf {
            let leaf = by.leaf(reference).await?;
            levels.extend(leaf.blocks.iter().map(|b| (b.id, b.level)));
        }
        Ok(levels)
    }
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
        for block in manifest.fresh.iter().flat_map(|fresh| &fresh.blocks) {
            self.fresh.insert(block.id, (chosen::cut_of(block), manifest.version));
        }
    }

    /// Notes in which windows two versions differ that follow each other.
    fn step(&mut self, before: &Manifest, manifest: &Manifest) {
        let windows = |m: &Manifest| {
            let leaves = m.leaves.iter().map(|l| l.window_end);
            leaves.chain(m.fresh.iter().map(|f| f.window_end)).collect::<BTreeSet<_>>()
        };
        for window in windows(before).union(&windows(manifest)) {
            let (mut old, mut new) = (Window::of(before, *window), Window::of(manifest, *window));
            if old == new {
                continue;
            }
            if old.leaf == new.leaf {
                // It needs not be read to see what has changed beside it.
                (old.leaf, new.leaf) = (None, None);
            }
            self.steps.push(Step { version: manifest.version, before: old, after: new });
        }
    }

    /// What versions above the target name, then what only those up to it do.
    fn split(self, target: u64) -> (Part, Part) {
        let (mut live, mut old) = (Part::default(), Part::default());
        for (leaf, last) in self.leaves.into_values() {
            if last > target { &mut live } else { &mut old }.leaves.push(leaf);
        }
        for (id, (cut, last)) in self.fresh {
            if last > target { &mut live } else { &mut old }.fresh.push((id, cut));
        }
        (live, old)
    }
}

/// What some of the versions name.
#[derive(Default)]
struct Part {
    leaves: Vec<LeafRef>,
    /// Blocks that are in no leaf, with the cuts that they were shipped for.
    fresh: Vec<(Ulid, Option<CutKey>)>,
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
        let mut previous = (floor.version == 0).then(|| empty(tenant));
        // A gap means that another collection went by: then the raise fails,
        // and what is read here only protects.
        while let Some(manifest) = manifests.try_next().await? {
            let Some(manifest) = manifest else { continue };
            scan.take(&manifest, limit_ms);
            if let Some(before) = &previous {
                scan.step(before, &manifest);
            }
            previous = Some(manifest);
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
            let (before, after) = (step.before.levels(by).await?, step.after.levels(by).await?);
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

    async fn names_of(&self, by: &Snapshot, part: Part) -> Result<Names> {
        let mut names = Names::default();
        for reference in part.leaves {
            let leaf = by.leaf(&reference).await?;
            names.blocks.extend(leaf.blocks.iter().map(|b| b.id));
            names.cuts.extend(leaf.blocks.iter().filter_map(|b| Some((b.id, chosen::cut_of(b)?))));
            names.leaves.insert(reference.name);
        }
        for (id, cut) in part.fresh {
            names.blocks.insert(id);
            names.cuts.extend(cut.map(|cut| (id, cut)));
        }
        Ok(names)
    }
}
