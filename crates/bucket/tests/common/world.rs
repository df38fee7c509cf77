//! A world of processes on one bucket, and a model of what must be there.
//!
//! Committers build, ship, merge and expire; they fall asleep before their
//! manifest, after it, and after the floor was read; they wake, or die.
//! Collectors run at any time, several at once, sleep before they raise the
//! floor and in the middle of their deletions, wake, or die. Clocks differ.
//! [`World::check`] compares the bucket with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tokio::task::JoinHandle;
use ulid::Ulid;
use varve_block::BlockEntry;
use varve_bucket::catalog::{Cause, Pin, gc};
use varve_bucket::{Bucket, Catalog, CatalogError, Change, Committed, CutKey, paths};
use varve_runtime::{Clock, ManualClock};
use varve_testkit::{FaultyStore, Gate};

use super::{HOUR_MS, MINUTE_MS, START_MS, catalog, cut, meta, new_id, over, tenant, upload};

pub const PROCESSES: usize = 3;
/// How far clocks differ from the true one in a world as it is promised:
/// between any two less than grace − pin.
pub const SKEW_MS: [i64; PROCESSES] = [-20 * MINUTE_MS, 0, 20 * MINUTE_MS];
const GRACE_MS: i64 = HOUR_MS;
const ORPHAN_MS: i64 = 24 * HOUR_MS;

/// Where a committer falls asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Bed {
    BeforeManifest,
    AfterManifest,
    /// Before the marks, or the hint when there are none.
    AfterFloor,
}

/// What a collector sleeps before.
#[derive(Clone, Copy, Debug)]
pub enum Nap {
    Raise,
    Manifests,
    Blocks,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A block is built and uploaded, to be committed later or never.
    Build(usize),
    /// The oldest block that waits is committed by a process.
    Ship(usize),
    ShipAsleep(usize, Bed),
    /// Two live blocks are merged by a process.
    Merge(usize),
    MergeAsleep(usize, Bed),
    /// The first live block is dropped.
    Expire(usize),
    ExpireAsleep(usize, Bed),
    /// A committer goes on.
    Wake(usize),
    /// A committer goes on to the next place and sleeps again.
    Doze(usize),
    /// A committer ends where it is. What it shipped is built again.
    Die(usize),
    /// A reader pins the newest version.
    Pin(usize),
    Collect(usize),
    CollectAsleep(usize, Nap),
    WakeCollector(usize),
    CollectorDies(usize),
    Pass(i64),
}

/// Any step; collections and commits are the most frequent ones.
pub fn step() -> impl Strategy<Value = Step> {
    let by = 0..PROCESSES;
    let bed = prop::sample::select(vec![Bed::BeforeManifest, Bed::AfterManifest, Bed::AfterFloor]);
    let nap = prop::sample::select(vec![Nap::Raise, Nap::Manifests, Nap::Blocks]);
    let which = 0..4usize;
    prop_oneof![
        6 => by.clone().prop_map(Step::Build),
        8 => by.clone().prop_map(Step::Ship),
        2 => (by.clone(), bed.clone()).prop_map(|(by, bed)| Step::ShipAsleep(by, bed)),
        4 => by.clone().prop_map(Step::Merge),
        2 => (by.clone(), bed.clone()).prop_map(|(by, bed)| Step::MergeAsleep(by, bed)),
        2 => by.clone().prop_map(Step::Expire),
        1 => (by.clone(), bed).prop_map(|(by, bed)| Step::ExpireAsleep(by, bed)),
        4 => which.clone().prop_map(Step::Wake),
        2 => which.clone().prop_map(Step::Doze),
        1 => which.clone().prop_map(Step::Die),
        4 => by.clone().prop_map(Step::Pin),
        6 => by.clone().prop_map(Step::Collect),
        2 => (by, nap).prop_map(|(by, nap)| Step::CollectAsleep(by, nap)),
        2 => which.clone().prop_map(Step::WakeCollector),
        1 => which.prop_map(Step::CollectorDies),
        6 => (1..30i64).prop_map(|m| Step::Pass(m * MINUTE_MS)),
        5 => (1..13i64).prop_map(|h| Step::Pass(h * HOUR_MS)),
        1 => Just(Step::Pass(19 * HOUR_MS)),
        1 => Just(Step::Pass(25 * HOUR_MS)),
    ]
}

struct Sleeper {
    change: Change,
    store: FaultyStore,
    gate: Gate,
    bed: Bed,
    /// Its change has been seen in the newest version.
    landed: bool,
    task: JoinHandle<Result<Committed, CatalogError>>,
}

struct Collector {
    gate: Gate,
    task: JoinHandle<Result<gc::Report, CatalogError>>,
}

/// A block that nobody needs any more.
#[derive(Clone, Copy)]
struct Dead {
    /// How many complete collections, a grace period apart, it has outlived.
    runs: u32,
    last_ms: i64,
    /// Collections slept or died since: only its age counts.
    disturbed: bool,
}

pub struct World {
    inner: Arc<InMemory>,
    pub bucket: Bucket,
    pub clock: Arc<ManualClock>,
    clocks: Vec<Arc<ManualClock>>,
    pub processes: Vec<Catalog>,
    next_cut: u64,
    waiting: Vec<(CutKey, BlockEntry)>,
    pub live: BTreeMap<Ulid, BlockEntry>,
    /// The cuts whose samples a block holds.
    contents: BTreeMap<Ulid, BTreeSet<CutKey>>,
    committed: BTreeSet<CutKey>,
    /// Cuts that a commit removed which nobody was told of.
    pub hushed: BTreeSet<CutKey>,
    dead: BTreeMap<Ulid, Dead>,
    sleepers: Vec<Sleeper>,
    collectors: Vec<Collector>,
    /// Gates that never open.
    graves: Vec<Gate>,
    pins: Vec<(Pin, BTreeSet<Ulid>)>,
}

impl World {
    pub fn new(skew_ms: [i64; PROCESSES]) -> Self {
        let inner = Arc::new(InMemory::new());
        let bucket = over(inner.clone());
        let clocks: Vec<_> =
            skew_ms.iter().map(|skew| Arc::new(ManualClock::new(START_MS + skew))).collect();
        let processes = clocks.iter().map(|clock| catalog(&bucket, clock)).collect();
        Self {
            inner,
            bucket,
            clock: Arc::new(ManualClock::new(START_MS)),
            clocks,
            processes,
            next_cut: 0,
            waiting: Vec::new(),
            live: BTreeMap::new(),
            contents: BTreeMap::new(),
            committed: BTreeSet::new(),
            hushed: BTreeSet::new(),
            dead: BTreeMap::new(),
            sleepers: Vec::new(),
            collectors: Vec::new(),
            graves: Vec::new(),
            pins: Vec::new(),
        }
    }

    pub async fn run(&mut self, step: Step) {
        match step {
            Step::Build(by) => {
                self.next_cut += 1;
                let key = cut(1, (self.next_cut % 4) as i64, self.next_cut);
                let entry = self.build(by, key, &[]).await;
                self.waiting.push((key, entry));
            }
            Step::Ship(by) => {
                if let Some(change) = self.ship() {
                    self.commit(by, change).await;
                }
            }
            Step::ShipAsleep(by, bed) => {
                if let Some(change) = self.ship() {
                    self.fall_asleep(by, change, bed).await;
                }
            }
            Step::Merge(by) => {
                if let Some(change) = self.merge(by).await {
                    self.commit(by, change).await;
                }
            }
            Step::MergeAsleep(by, bed) => {
                if let Some(change) = self.merge(by).await {
                    self.fall_asleep(by, change, bed).await;
                }
            }
            Step::Expire(by) => {
                if let Some(change) = self.expire() {
                    self.commit(by, change).await;
                }
            }
            Step::ExpireAsleep(by, bed) => {
                if let Some(change) = self.expire() {
                    self.fall_asleep(by, change, bed).await;
                }
            }
            Step::Wake(which) => {
                if let Some(sleeper) = take(&mut self.sleepers, which) {
                    self.wake(sleeper).await;
                }
            }
            Step::Doze(which) => {
                if let Some(sleeper) = take(&mut self.sleepers, which) {
                    let bed = match sleeper.bed {
                        Bed::BeforeManifest => Bed::AfterManifest,
                        _ => Bed::AfterFloor,
                    };
                    self.go_to(sleeper, bed).await;
                }
            }
            Step::Die(which) => {
                if let Some(sleeper) = take(&mut self.sleepers, which) {
                    self.die(sleeper).await;
                }
            }
            Step::Pin(by) => {
                self.processes[by].refresh(&tenant()).await.unwrap();
                let pin = self.processes[by].pin(&tenant()).await.unwrap();
                self.pins.push((pin, self.live.keys().copied().collect()));
            }
            Step::Collect(by) => {
                gc::collect(&self.processes[by], &tenant()).await.unwrap();
                self.collected().await;
            }
            Step::CollectAsleep(by, nap) => self.collect_asleep(by, nap).await,
            Step::WakeCollector(which) => {
                if let Some(collector) = take(&mut self.collectors, which) {
                    collector.gate.open();
                    match collector.task.await.unwrap() {
                        Err(error) if !error.is_version_gone() => panic!("{error}"),
                        _ => self.disturb(),
                    }
                }
            }
            Step::CollectorDies(which) => {
                if let Some(collector) = take(&mut self.collectors, which) {
                    self.graves.push(collector.gate);
                    self.disturb();
                }
            }
            Step::Pass(ms) => {
                let by = Duration::from_millis(ms as u64);
                self.clock.advance(by);
                self.clocks.iter().for_each(|clock| clock.advance(by));
            }
        }
    }

    async fn build(&mut self, by: usize, key: CutKey, sources: &[BlockEntry]) -> BlockEntry {
        let mut meta = meta(new_id(self.clocks[by].now_ms()), key);
        meta.level = sources.iter().map(|b| b.level + 1).max().unwrap_or(0);
        let all = sources.iter().flat_map(|b| b.sources.iter().copied().chain([b.id]));
        meta.sources = all.collect();
        let contents = match sources {
            [] => BTreeSet::from([key]),
            some => some.iter().flat_map(|b| self.contents[&b.id].clone()).collect(),
        };
        self.contents.insert(meta.id, contents);
        upload(&self.bucket, &meta).await
    }

    fn ship(&mut self) -> Option<Change> {
        if self.waiting.is_empty() {
            return None;
        }
        let (key, entry) = self.waiting.remove(0);
        Some(Change::ship(key, vec![entry]))
    }

    async fn merge(&mut self, by: usize) -> Option<Change> {
        let sources: Vec<BlockEntry> = self.live.values().take(2).cloned().collect();
        if sources.len() < 2 {
            return None;
        }
        let merged = self.build(by, cut(0, 0, 0), &sources).await;
        Some(Change::replace(Cause::Merge, vec![merged], &sources))
    }

    fn expire(&self) -> Option<Change> {
        self.live.values().next().map(|entry| Change::remove(Cause::Retention, [entry]))
    }

    async fn commit(&mut self, by: usize, change: Change) {
        let result = self.processes[by].commit(&tenant(), change.clone()).await;
        self.note(change, result, false);
    }

    fn apply(&mut self, change: &Change) {
        for removed in &change.remove {
            if self.live.remove(&removed.id).is_some() {
                self.bury(removed.id);
            }
        }
        for entry in &change.add {
            self.dead.remove(&entry.id);
            self.live.insert(entry.id, entry.clone());
        }
        if let Cause::Ship(key) = change.cause {
            assert!(self.committed.insert(key), "{key:?} was committed twice");
        }
    }

    /// The block is not needed from now on.
    fn bury(&mut self, id: Ulid) {
        let disturbed = !self.collectors.is_empty();
        self.dead.insert(id, Dead { runs: 0, last_ms: i64::MIN, disturbed });
    }

    fn disturb(&mut self) {
        self.dead.values_mut().for_each(|dead| dead.disturbed = true);
    }

    /// Takes in what a commit was told. `landed` = its change had been seen.
    fn note(&mut self, change: Change, result: Result<Committed, CatalogError>, landed: bool) {
        // Its marks may have come when what they are about had been deleted:
        // such a folder of marks goes as an orphan.
        let blocks = change.remove.iter().map(|r| r.id).chain(change.add.iter().map(|b| b.id));
        for id in blocks {
            self.dead.entry(id).and_modify(|dead| dead.disturbed = true);
        }
        match result {
            Ok(Committed::Now { .. }) if !landed => self.apply(&change),
            Ok(Committed::Now { .. }) => {}
            Ok(Committed::Already { .. }) => {
                let known = match change.cause {
                    Cause::Ship(key) => self.committed.contains(&key),
                    // What is gone needs not be removed.
                    _ => change.add.is_empty(),
                };
                assert!(landed || known, "{change:?} was not committed before");
                self.forget(&change);
            }
            // All of these say for certain that nothing has changed.
            Err(
                CatalogError::BlockTooOld { .. }
                | CatalogError::BlockGone { .. }
                | CatalogError::BlockFile { .. }
                | CatalogError::Contended { .. },
            ) => self.forget(&change),
            Err(error) => panic!("{error}"),
        }
    }

    /// Blocks that will not be committed any more are dead.
    fn forget(&mut self, change: &Change) {
        for entry in &change.add {
            if !self.live.contains_key(&entry.id) && !self.dead.contains_key(&entry.id) {
                self.bury(entry.id);
                self.dead.entry(entry.id).and_modify(|dead| dead.disturbed = true);
            }
        }
    }

    async fn fall_asleep(&mut self, by: usize, change: Change, bed: Bed) {
        // In a process of its own: it must not hold up the queue of one that
        // stays awake.
        let store = FaultyStore::new(self.inner.clone());
        let own = catalog(&over(Arc::new(store.clone())), &self.clocks[by]);
        own.refresh(&tenant()).await.unwrap();
        let mut gate = store.hold("catalog/0000");
        let mut task = {
            let change = change.clone();
            tokio::spawn(async move { own.commit(&tenant(), change).await })
        };
        tokio::select! {
            () = gate.arrived() => {
                let here = Bed::BeforeManifest;
                let sleeper = Sleeper { change, store, gate, bed: here, landed: false, task };
                Box::pin(self.go_to(sleeper, bed)).await;
            }
            // It was refused before it came to a manifest.
            result = &mut task => self.note(change, result.unwrap(), false),
        }
    }

    /// Lets a committer go on until `bed`, if it comes there.
    async fn go_to(&mut self, mut sleeper: Sleeper, bed: Bed) {
        while sleeper.bed < bed {
            let (next, at) = match sleeper.bed {
                Bed::BeforeManifest => (Bed::AfterManifest, "get team-a/catalog/floor/"),
                _ => (Bed::AfterFloor, "put team-a/"),
            };
            let mut gate = sleeper.store.hold_call(at);
            sleeper.gate.open();
            let arrived = tokio::select! {
                () = gate.arrived() => true,
                result = &mut sleeper.task => {
                    let landed = sleeper.landed;
                    self.note(sleeper.change.clone(), result.unwrap(), landed);
                    false
                }
            };
            if !arrived {
                return;
            }
            sleeper.gate = gate;
            sleeper.bed = next;
            self.look(&mut sleeper).await;
        }
        self.sleepers.push(sleeper);
    }

    /// Finds out whether a committer's change is in the newest version.
    async fn look(&mut self, sleeper: &mut Sleeper) {
        if !sleeper.landed && self.listed(&self.fresh()).await != self.expected() {
            sleeper.landed = true;
            self.apply(&sleeper.change.clone());
        }
    }

    async fn wake(&mut self, sleeper: Sleeper) {
        sleeper.gate.open();
        let result = sleeper.task.await.unwrap();
        self.note(sleeper.change, result, sleeper.landed);
    }

    async fn die(&mut self, sleeper: Sleeper) {
        self.graves.push(sleeper.gate);
        let change = sleeper.change;
        if sleeper.landed {
            // What it removed may have no mark, and what replaced it neither.
            for removed in change.remove.iter().filter(|_| change.add.is_empty()) {
                self.hushed.extend(&self.contents[&removed.id]);
            }
            return;
        }
        self.forget(&change);
        if let Cause::Ship(key) = change.cause {
            // A new leader has the samples still.
            let entry = self.build(0, key, &[]).await;
            self.waiting.push((key, entry));
        }
    }

    async fn collect_asleep(&mut self, by: usize, nap: Nap) {
        let store = FaultyStore::new(self.inner.clone());
        let own = catalog(&over(Arc::new(store.clone())), &self.clocks[by]);
        let mut gate = store.hold_call(match nap {
            Nap::Raise => "put team-a/catalog/floor/",
            Nap::Manifests => "delete team-a/catalog/",
            Nap::Blocks => "delete team-a/blocks/",
        });
        let mut task = tokio::spawn(async move { gc::collect(&own, &tenant()).await });
        let finished = tokio::select! {
            () = gate.arrived() => false,
            result = &mut task => {
                result.unwrap().unwrap();
                true
            }
        };
        if finished {
            self.collected().await;
        } else {
            self.disturb();
            self.collectors.push(Collector { gate, task });
        }
    }

    /// After a complete collection: what had its time must be gone.
    async fn collected(&mut self) {
        let now = self.clock.now_ms();
        let skew = SKEW_MS[2] - SKEW_MS[0];
        if self.fresh().refresh(&tenant()).await.unwrap().version() == 0 {
            // Blocks of a tenant without a catalog stay (C-9).
            return;
        }
        let there = self.folders().await;
        for (id, dead) in &mut self.dead {
            if now.saturating_sub(dead.last_ms) >= GRACE_MS + skew {
                (dead.runs, dead.last_ms) = (dead.runs + 1, now);
            }
            // The first run puts down that it was replaced, the second may
            // have to wait for what an earlier one has put down.
            let replaced = dead.runs > 3 && !dead.disturbed;
            let age = now - id.timestamp_ms() as i64;
            let orphan = dead.runs > 3 && age >= ORPHAN_MS + skew;
            let left = there.contains(&id.to_string());
            assert!(!(left && (replaced || orphan)), "{id} is dead and stays, age {age} ms");
        }
    }

    async fn folders(&self) -> BTreeSet<String> {
        let folder = self.bucket.list_folder(&paths::blocks(&tenant())).await.unwrap();
        folder.folders.into_iter().collect()
    }

    pub fn fresh(&self) -> Catalog {
        catalog(&self.bucket, &self.clock)
    }

    fn expected(&self) -> BTreeSet<Ulid> {
        self.live.keys().copied().collect()
    }

    async fn listed(&self, by: &Catalog) -> BTreeSet<Ulid> {
        let newest = by.refresh(&tenant()).await.unwrap();
        let all = newest.all_blocks().await.unwrap();
        let ids: BTreeSet<Ulid> = all.iter().map(|b| b.id).collect();
        assert_eq!(ids.len(), all.len(), "a block is listed twice");
        ids
    }

    /// The bucket is as the model says.
    pub async fn check(&self) {
        for process in [&self.processes[0], &self.fresh()] {
            assert_eq!(self.listed(process).await, self.expected());
        }
        let files = self.bucket.list(&paths::blocks(&tenant())).map_ok(|o| o.path);
        let files: BTreeSet<_> = files.try_collect().await.unwrap();
        let is_whole = |id: Ulid| {
            let file = |name| files.contains(&paths::block_file(&tenant(), id, name));
            ["block.json", "series.parquet", "samples.parquet"].into_iter().all(file)
        };
        for id in self.live.keys() {
            assert!(is_whole(*id), "live block {id} lost files");
        }
        let now = self.clock.now_ms();
        for (_, entry) in &self.waiting {
            let age = now - entry.id.timestamp_ms() as i64;
            assert!(age >= 11 * HOUR_MS || is_whole(entry.id), "block {} under way", entry.id);
        }
        for (pin, ids) in &self.pins {
            let Ok(snapshot) = pin.snapshot() else { continue };
            let listed = snapshot.all_blocks().await.unwrap();
            assert_eq!(&listed.iter().map(|b| b.id).collect::<BTreeSet<_>>(), ids);
            for id in ids {
                assert!(is_whole(*id), "pinned block {id} lost files");
            }
        }
    }

    /// Lets everybody finish.
    pub async fn settle(&mut self) {
        while !self.collectors.is_empty() {
            self.run(Step::WakeCollector(0)).await;
        }
        while !self.sleepers.is_empty() {
            self.run(Step::Wake(0)).await;
        }
        self.check().await;
    }

    /// Lets everything finish; then only what is live may be left.
    pub async fn finish(&mut self) {
        self.settle().await;
        for _ in 0..2 {
            self.run(Step::Build(0)).await;
            let (key, entry) = self.waiting.pop().unwrap();
            self.commit(0, Change::ship(key, vec![entry])).await;
            self.run(Step::Pass(26 * HOUR_MS)).await;
            self.run(Step::Collect(1)).await;
        }
        // Nobody commits any more: what the last commit replaced goes too.
        for _ in 0..2 {
            self.run(Step::Pass(2 * HOUR_MS)).await;
            self.run(Step::Collect(1)).await;
        }
        self.check().await;
        let live: BTreeSet<String> = self.live.keys().map(ToString::to_string).collect();
        assert_eq!(self.folders().await, live);
        let all: Vec<_> = self.bucket.list(&paths::catalog(&tenant())).try_collect().await.unwrap();
        let count = |part: &str| all.iter().filter(|o| o.path.as_str().contains(part)).count();
        assert_eq!(count("catalog/0000"), 1, "manifests: {all:?}");
        let newest = self.fresh().refresh(&tenant()).await.unwrap();
        assert!(count("/leaf/") >= newest.leaves(varve_model::TimeRange::ALL).count());
        assert!(count("/leaf/") <= 4, "leaves: {all:?}");
    }

    /// The cuts that these blocks hold, each once.
    pub fn held(&self, blocks: impl IntoIterator<Item = Ulid>) -> BTreeSet<CutKey> {
        let mut held = BTreeSet::new();
        for id in blocks {
            for cut in &self.contents[&id] {
                assert!(held.insert(*cut), "{cut:?} is held twice");
            }
        }
        held
    }

    /// Cuts that were uploaded and never committed.
    pub fn uncommitted(&self) -> BTreeSet<CutKey> {
        let all = self.contents.values().flatten();
        all.filter(|cut| !self.committed.contains(cut)).copied().collect()
    }

    /// All processes end where they are.
    pub async fn end(&mut self) {
        while !self.sleepers.is_empty() {
            self.run(Step::Die(0)).await;
        }
        while !self.collectors.is_empty() {
            self.run(Step::CollectorDies(0)).await;
        }
        (self.waiting, self.pins) = (Vec::new(), Vec::new());
    }

    /// Other processes begin, with what the bucket lists.
    pub async fn begin_anew(&mut self) {
        self.processes = self.clocks.iter().map(|clock| catalog(&self.bucket, clock)).collect();
        self.dead = BTreeMap::new();
        let newest = self.fresh().refresh(&tenant()).await.unwrap();
        let all = newest.all_blocks().await.unwrap();
        self.live = all.into_iter().map(|b| (b.id, b)).collect();
    }
}

/// Any one of a list, if there is one.
fn take<T>(list: &mut Vec<T>, which: usize) -> Option<T> {
    if list.is_empty() { None } else { Some(list.remove(which % list.len())) }
}
