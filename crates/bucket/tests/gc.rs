//! Random schedules of committers, sleepers, readers and collections on one
//! bucket, against a model: nothing that is live, pinned or under way is ever
//! deleted, and in the end nothing else is left.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::{HOUR_MS, MINUTE_MS, catalog, clock, cut, meta, new_id, over, tenant, upload};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tokio::task::JoinHandle;
use ulid::Ulid;
use varve_block::BlockEntry;
use varve_bucket::catalog::{Cause, gc};
use varve_bucket::{Bucket, Catalog, CatalogError, Change, Committed, CutKey, Snapshot, paths};
use varve_runtime::{Clock, ManualClock};
use varve_testkit::{FaultyStore, Gate};

const PROCESSES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A block is built and uploaded, to be committed later or never.
    Build,
    /// The oldest block that waits is committed by a process.
    Ship(usize),
    /// The same by a process that falls asleep before its manifest.
    ShipAsleep,
    /// Two live blocks are merged by a process.
    Merge(usize),
    /// The same by a process that falls asleep before its manifest.
    MergeAsleep,
    /// The longest sleeper goes on.
    Wake,
    /// The first live block is dropped.
    Expire(usize),
    /// A reader pins the newest version.
    Pin(usize),
    Collect(usize),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    prop_oneof![
        3 => Just(Step::Build),
        4 => process.clone().prop_map(Step::Ship),
        1 => Just(Step::ShipAsleep),
        2 => process.clone().prop_map(Step::Merge),
        1 => Just(Step::MergeAsleep),
        2 => Just(Step::Wake),
        1 => process.clone().prop_map(Step::Expire),
        2 => process.clone().prop_map(Step::Pin),
        3 => process.prop_map(Step::Collect),
        3 => (1..30i64).prop_map(|m| Step::Pass(m * MINUTE_MS)),
        2 => (1..13i64).prop_map(|h| Step::Pass(h * HOUR_MS)),
        1 => Just(Step::Pass(25 * HOUR_MS)),
    ]
}

struct Sleeper {
    change: Change,
    gate: Gate,
    task: JoinHandle<Result<Committed, CatalogError>>,
}

struct World {
    store: FaultyStore,
    bucket: Bucket,
    clock: Arc<ManualClock>,
    processes: Vec<Catalog>,
    next_cut: u64,
    waiting: Vec<(CutKey, BlockEntry)>,
    live: BTreeMap<Ulid, BlockEntry>,
    sleepers: Vec<Sleeper>,
    pins: Vec<(i64, Arc<Snapshot>, BTreeSet<Ulid>)>,
}

fn world() -> World {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let bucket = over(Arc::new(store.clone()));
    let clock = clock();
    let processes = (0..PROCESSES).map(|_| catalog(&bucket, &clock)).collect();
    World {
        store,
        bucket,
        clock,
        processes,
        next_cut: 0,
        waiting: Vec::new(),
        live: BTreeMap::new(),
        sleepers: Vec::new(),
        pins: Vec::new(),
    }
}

impl World {
    async fn run(&mut self, step: Step) {
        match step {
            Step::Build => {
                let key = cut(1, (self.next_cut % 4) as i64, self.next_cut);
                self.next_cut += 1;
                let entry = self.build(key, Vec::new()).await;
                self.waiting.push((key, entry));
            }
            Step::Ship(by) => {
                if let Some(change) = self.ship() {
                    self.commit(by, change).await;
                }
            }
            Step::ShipAsleep => {
                if let Some(change) = self.ship() {
                    self.fall_asleep(change).await;
                }
            }
            Step::Merge(by) => {
                if let Some(change) = self.merge().await {
                    self.commit(by, change).await;
                }
            }
            Step::MergeAsleep => {
                if let Some(change) = self.merge().await {
                    self.fall_asleep(change).await;
                }
            }
            Step::Wake => {
                if !self.sleepers.is_empty() {
                    let sleeper = self.sleepers.remove(0);
                    self.wake(sleeper).await;
                }
            }
            Step::Expire(by) => {
                if let Some(entry) = self.live.values().next().cloned() {
                    self.commit(by, Change::remove(Cause::Retention, [&entry])).await;
                }
            }
            Step::Pin(by) => {
                let snapshot = self.processes[by].refresh(&tenant()).await.unwrap();
                let ids = self.live.keys().copied().collect();
                self.pins.push((self.clock.now_ms(), snapshot, ids));
            }
            Step::Collect(by) => {
                gc::collect(&self.processes[by], &tenant()).await.unwrap();
            }
            Step::Pass(ms) => self.clock.advance(Duration::from_millis(ms as u64)),
        }
    }

    async fn build(&self, key: CutKey, sources: Vec<Ulid>) -> BlockEntry {
        let mut meta = meta(new_id(self.clock.now_ms()), key);
        meta.level = u32::from(!sources.is_empty());
        meta.sources = sources;
        upload(&self.bucket, &meta).await
    }

    fn ship(&mut self) -> Option<Change> {
        if self.waiting.is_empty() {
            return None;
        }
        let (key, entry) = self.waiting.remove(0);
        Some(Change::ship(key, vec![entry]))
    }

    async fn merge(&self) -> Option<Change> {
        let sources: Vec<BlockEntry> = self.live.values().take(2).cloned().collect();
        if sources.len() < 2 {
            return None;
        }
        let merged = self.build(cut(0, 0, 0), sources.iter().map(|b| b.id).collect()).await;
        Some(Change::replace(Cause::Merge, vec![merged], &sources))
    }

    async fn commit(&mut self, by: usize, change: Change) {
        let result = self.processes[by].commit(&tenant(), change.clone()).await;
        self.note(change, result);
    }

    fn note(&mut self, change: Change, result: Result<Committed, CatalogError>) {
        match result {
            Ok(Committed::Now { .. }) => {
                for removed in &change.remove {
                    self.live.remove(&removed.id);
                }
                self.live.extend(change.add.into_iter().map(|b| (b.id, b)));
            }
            Ok(Committed::Already { .. }) => {
                // Only a removal can find that it was made before.
                assert!(change.add.is_empty());
            }
            // All of these say for certain that nothing has changed.
            Err(
                CatalogError::BlockTooOld { .. }
                | CatalogError::BlockGone { .. }
                | CatalogError::BlockFile { .. }
                | CatalogError::Contended { .. },
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn fall_asleep(&mut self, change: Change) {
        // In a process of its own: it must not hold up the queue of one that
        // stays awake.
        let sleeper = catalog(&self.bucket, &self.clock);
        sleeper.refresh(&tenant()).await.unwrap();
        let mut gate = self.store.hold("catalog/0000");
        let mut task = {
            let change = change.clone();
            tokio::spawn(async move { sleeper.commit(&tenant(), change).await })
        };
        tokio::select! {
            () = gate.arrived() => self.sleepers.push(Sleeper { change, gate, task }),
            // It was refused before it came to a manifest.
            result = &mut task => {
                self.note(change, result.unwrap());
                // The gate still waits for somebody: let it be the next.
                gate.open();
            }
        }
    }

    async fn wake(&mut self, sleeper: Sleeper) {
        sleeper.gate.open();
        let result = sleeper.task.await.unwrap();
        self.note(sleeper.change, result);
    }

    async fn has_files(&self, id: Ulid) -> bool {
        for file in ["block.json", "series.parquet", "samples.parquet"] {
            let path = paths::block_file(&tenant(), id, file);
            if self.bucket.head(&path).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn check(&self) {
        for process in [&self.processes[0], &catalog(&self.bucket, &self.clock)] {
            let newest = process.refresh(&tenant()).await.unwrap();
            let listed: BTreeSet<Ulid> =
                newest.all_blocks().await.unwrap().into_iter().map(|b| b.id).collect();
            assert_eq!(listed, self.live.keys().copied().collect());
        }
        let now = self.clock.now_ms();
        for id in self.live.keys() {
            assert!(self.has_files(*id).await, "live block {id} lost files");
        }
        for (_, entry) in &self.waiting {
            let age = now - entry.id.timestamp_ms() as i64;
            assert!(age >= 12 * HOUR_MS || self.has_files(entry.id).await);
        }
        for (since, snapshot, ids) in &self.pins {
            if now - since >= 15 * MINUTE_MS {
                continue;
            }
            let listed: BTreeSet<Ulid> =
                snapshot.all_blocks().await.unwrap().into_iter().map(|b| b.id).collect();
            assert_eq!(&listed, ids);
            for id in ids {
                assert!(self.has_files(*id).await, "pinned block {id} lost files");
            }
        }
    }

    /// Lets everything finish; then only what is live may be left.
    async fn finish(&mut self) {
        while !self.sleepers.is_empty() {
            self.run(Step::Wake).await;
        }
        self.check().await;
        for _ in 0..2 {
            self.run(Step::Build).await;
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
        let folder = self.bucket.list_folder(&paths::blocks(&tenant())).await.unwrap();
        let left: BTreeSet<String> = folder.folders.into_iter().collect();
        assert_eq!(left, self.live.keys().map(ToString::to_string).collect());
        let all: Vec<_> = self.bucket.list(&paths::catalog(&tenant())).try_collect().await.unwrap();
        let count = |part: &str| all.iter().filter(|o| o.path.as_str().contains(part)).count();
        assert_eq!(count("catalog/0000"), 1, "manifests: {all:?}");
        let newest = self.processes[0].refresh(&tenant()).await.unwrap();
        assert!(count("/leaf/") >= newest.leaves(varve_model::TimeRange::ALL).count());
        assert!(count("/leaf/") <= 4, "leaves: {all:?}");
    }
}

fn run(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = world();
        for step in steps {
            world.run(*step).await;
            world.check().await;
        }
        world.finish().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_is_needed_stays_and_what_is_not_goes(
        steps in prop::collection::vec(step(), 1..50),
    ) {
        run(&steps);
    }
}

/// The two accidents that a collection must not turn into a loss.
#[test]
fn sleepers_are_woken_after_collections() {
    use Step::{Build, Collect, MergeAsleep, Pass, Ship, ShipAsleep, Wake};
    run(&[
        Build,
        Ship(0),
        Build,
        Ship(1),
        Build,
        ShipAsleep,
        MergeAsleep,
        Build,
        Ship(0),
        Pass(2 * HOUR_MS),
        Build,
        Ship(0),
        Collect(0),
        Pass(2 * HOUR_MS),
        Collect(1),
        Wake,
        Wake,
        Collect(0),
    ]);
}
