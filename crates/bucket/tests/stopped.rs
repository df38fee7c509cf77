//! Committers that stand still while others make 1,000 versions and collect
//! the old ones: on every kind of store, at three places of a commit. They
//! lose no block, and bring none back.
//!
//! Where processes can share the store they are processes of their own and
//! stopped with SIGSTOP; in memory they are tasks held at a gate.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::process::{Order, Process};
use common::stores::Shared;
use common::{HOUR_MS, START_MS, cut, meta, new_id, tenant, upload};
use futures::StreamExt;
use object_store::memory::InMemory;
use ulid::Ulid;
use varve_block::BlockEntry;
use varve_bucket::catalog::{Cause, gc};
use varve_bucket::{Bucket, Catalog, CatalogConfig, Change, Committed, CutKey, paths};
use varve_runtime::Clock;
use varve_testkit::{FaultyStore, Gate};

/// Commits that the others make one after the other.
const COMMITS: u64 = 1000;
/// Places at which a commit stands still, in order of the versions that it
/// has made by then: its manifest is there, it has seen the floor, it is about
/// to create its manifest.
const PLACES: [&str; 3] =
    ["catalog.after-manifest", "catalog.after-floor-check", "catalog.before-manifest"];

/// A clock in a file, the same for all processes.
pub struct SharedClock(pub PathBuf);

impl SharedClock {
    fn set(&self, now_ms: i64) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, now_ms.to_string()).unwrap();
        std::fs::rename(next, &self.0).unwrap();
    }

    fn advance(&self, ms: i64) {
        self.set(self.now_ms() + ms);
    }
}

impl Clock for SharedClock {
    fn now_ms(&self) -> i64 {
        std::fs::read_to_string(&self.0).unwrap().parse().unwrap()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A block without files but its `block.json`: fewer requests.
async fn small(bucket: &Bucket, clock: &SharedClock, key: CutKey) -> BlockEntry {
    let mut meta = meta(new_id(clock.now_ms()), key);
    meta.files.clear();
    upload(bucket, &meta).await
}

struct Others {
    bucket: Bucket,
    clock: Arc<SharedClock>,
    catalog: Catalog,
    live: BTreeSet<Ulid>,
    removed: BTreeSet<Ulid>,
    next: u64,
}

impl Others {
    fn new(bucket: Bucket, clock: Arc<SharedClock>) -> Self {
        let catalog = fresh(&bucket, &clock);
        let (live, removed) = (BTreeSet::new(), BTreeSet::new());
        Self { bucket, clock, catalog, live, removed, next: 0 }
    }

    fn next_cut(&mut self) -> CutKey {
        self.next += 1;
        cut(1, (self.next % 40) as i64, self.next)
    }

    async fn blocks(&mut self, count: u64) -> Vec<(CutKey, BlockEntry)> {
        let keys: Vec<CutKey> = (0..count).map(|_| self.next_cut()).collect();
        futures::stream::iter(keys)
            .map(|key| {
                let (bucket, clock) = (self.bucket.clone(), self.clock.clone());
                async move { (key, small(&bucket, &clock, key).await) }
            })
            .buffered(16)
            .collect()
            .await
    }

    /// Each is a version of its own.
    async fn ship(&mut self, blocks: Vec<(CutKey, BlockEntry)>) {
        for (key, block) in blocks {
            let id = block.id;
            let change = Change::ship(key, vec![block]);
            let committed = self.catalog.commit(&tenant(), change).await.unwrap();
            assert!(matches!(committed, Committed::Now { .. }), "{committed:?}");
            self.live.insert(id);
        }
    }

    async fn remove(&mut self, count: usize) {
        let newest = self.catalog.refresh(&tenant()).await.unwrap();
        let all = newest.all_blocks().await.unwrap();
        let old: Vec<_> = all.iter().filter(|b| self.live.contains(&b.id)).take(count).collect();
        for block in &old {
            self.live.remove(&block.id);
            self.removed.insert(block.id);
        }
        let change = Change::remove(Cause::Retention, old);
        self.catalog.commit(&tenant(), change).await.unwrap();
    }

    /// Lets time pass until a collection has passed all that was replaced.
    async fn collect(&mut self) {
        let newest = self.catalog.refresh(&tenant()).await.unwrap().version();
        for _ in 0..3 {
            self.clock.advance(2 * HOUR_MS);
            let report = gc::collect(&self.catalog, &tenant()).await.unwrap();
            if report.floor + 1 == newest {
                return;
            }
        }
        panic!("versions below {newest} are not collected");
    }

    /// Everything that is live is listed once with its files, nothing else is.
    async fn check(&self, step: &str, committers: &BTreeSet<Ulid>) {
        let newest = fresh(&self.bucket, &self.clock).refresh(&tenant()).await.unwrap();
        let listed: Vec<Ulid> =
            newest.all_blocks().await.unwrap().into_iter().map(|b| b.id).collect();
        let expected: BTreeSet<Ulid> = self.live.union(committers).copied().collect();
        let unique: BTreeSet<Ulid> = listed.iter().copied().collect();
        assert_eq!(listed.len(), unique.len(), "{step}: a block is listed twice");
        let lost: Vec<_> = expected.difference(&unique).collect();
        let risen: Vec<_> = unique.difference(&expected).collect();
        assert!(lost.is_empty() && risen.is_empty(), "{step}: lost {lost:?}, risen {risen:?}");
        let folder = self.bucket.list_folder(&paths::blocks(&tenant())).await.unwrap();
        let folders: BTreeSet<String> = folder.folders.into_iter().collect();
        let gone: Vec<_> =
            expected.iter().filter(|id| !folders.contains(&id.to_string())).collect();
        assert!(gone.is_empty(), "{step}: files of {gone:?} are gone");
    }
}

fn fresh(bucket: &Bucket, clock: &Arc<SharedClock>) -> Catalog {
    Catalog::open(bucket.clone(), clock.clone(), CatalogConfig::default()).unwrap()
}

/// A committer that stands still at a place of its commit.
enum Stopped {
    Process(Process),
    Task(Gate, tokio::task::JoinHandle<varve_bucket::catalog::Result<Committed>>),
}

impl Stopped {
    async fn go_on(self) -> Committed {
        match self {
            Self::Process(mut process) => {
                process.go_on();
                let version = process.answer();
                Committed::Now { version }
            }
            Self::Task(gate, task) => {
                gate.open();
                task.await.unwrap().unwrap()
            }
        }
    }
}

/// The whole accident. `stop` starts the committer of a block. Returns how
/// long the commits of the others took.
async fn check<F: AsyncFn(&Others, &'static str, BlockEntry, CutKey) -> Stopped>(
    bucket: Bucket,
    clock: Arc<SharedClock>,
    stop: F,
) -> Duration {
    let mut others = Others::new(bucket, clock);
    let before = others.blocks(60).await;
    others.ship(before).await;

    let mut stopped = Vec::new();
    let mut committers = BTreeSet::new();
    for (n, place) in PLACES.into_iter().enumerate() {
        let key = cut(100 + n as u32, 0, 0);
        let block = small(&others.bucket, &others.clock, key).await;
        committers.insert(block.id);
        stopped.push(stop(&others, place, block, key).await);
    }
    let first = others.catalog.refresh(&tenant()).await.unwrap().version();
    let blocks = others.blocks(COMMITS).await;
    let begun = Instant::now();
    others.ship(blocks).await;
    let newest = others.catalog.refresh(&tenant()).await.unwrap().version();
    assert_eq!(newest, first + COMMITS, "every commit made a version");
    let took = begun.elapsed();
    others.remove(40).await;
    others.collect().await;
    let folder = others.bucket.list_folder(&paths::catalog(&tenant())).await.unwrap();
    let left = folder.objects.iter().filter_map(|o| paths::manifest_version(o.path.file_name()));
    assert!(left.min() > Some(first + COMMITS), "their numbers are free again");

    for (place, committer) in PLACES.into_iter().zip(stopped) {
        if let Stopped::Process(process) = &committer {
            assert!(process.is_stopped(), "it stood still all the time");
        }
        // One that had seen the floor already has nothing more to find out.
        let version = committer.go_on().await.version();
        let known = place == "catalog.after-floor-check";
        assert_eq!(version <= first, known, "{place}: version {version}");
    }
    others.check("woken", &committers).await;
    let more = others.blocks(3).await;
    others.ship(more).await;
    others.collect().await;
    others.check("collected again", &committers).await;
    took
}

fn shared_clock(dir: &tempfile::TempDir) -> Arc<SharedClock> {
    let clock = SharedClock(dir.path().join("clock"));
    clock.set(START_MS);
    Arc::new(clock)
}

async fn processes(store: Shared) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let clock = shared_clock(&dir);
    check(store.open(), clock.clone(), async |_, place, block, key| {
        let mut process = Process::start(&Order {
            url: store.url.clone(),
            options: store.options.clone(),
            clock: clock.0.clone(),
            place: place.to_owned(),
            block,
            key,
        });
        process.wait_at_gate();
        process.stop();
        Stopped::Process(process)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(InMemory::new());
    let clock = shared_clock(&dir);
    let took = check(common::over(memory.clone()), clock, async |others, place, block, key| {
        // A process of its own as far as can be: its own way to the store.
        let store = FaultyStore::new(memory.clone());
        let own = fresh(&common::over(Arc::new(store.clone())), &others.clock);
        own.refresh(&tenant()).await.unwrap();
        let held = match place {
            "catalog.after-manifest" => "get team-a/catalog/floor/",
            "catalog.after-floor-check" => "put team-a/catalog/hint.json",
            _ => "put team-a/catalog/0000",
        };
        let mut gate = store.hold_call(held);
        let change = Change::ship(key, vec![block]);
        let task = tokio::spawn(async move { own.commit(&tenant(), change).await });
        gate.arrived().await;
        Stopped::Task(gate, task)
    })
    .await;
    println!("memory: {COMMITS} commits in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_folder() {
    let took = processes(Shared::local()).await;
    println!("local folder: {COMMITS} commits in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3() {
    let Some(store) = Shared::s3() else { return };
    let took = processes(store).await;
    println!("S3: {COMMITS} commits in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure() {
    let Some(store) = Shared::azure() else { return };
    let took = processes(store).await;
    println!("Azure: {COMMITS} commits in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcs() {
    let took = processes(Shared::gcs().await).await;
    println!("GCS: {COMMITS} commits in {took:?}");
}

/// Not a test: what [`Process`] starts. Its order comes on standard input.
#[test]
#[ignore = "it is a process that the tests here start"]
fn committer() {
    let Some(order) = common::process::order() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bucket = common::stores::open(&order.url, order.options.clone());
        let catalog = fresh(&bucket, &Arc::new(SharedClock(order.clock.clone())));
        catalog.refresh(&tenant()).await.unwrap();
        common::process::stand_still_at(&order.place);
        let change = Change::ship(order.key, vec![order.block]);
        let committed = catalog.commit(&tenant(), change).await.unwrap();
        common::process::say(&format!("committed {}", committed.version()));
    });
}
