//! Entries that are in a manifest and not yet in a leaf: whoever loses a race
//! puts them there. Readers, later commits, collections and rebuilds must not
//! see a difference.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{HOUR_MS, catalog, clock, cut, listed, over, shipment, tenant};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use ulid::Ulid;
use varve_bucket::catalog::rebuild::rebuild_catalog;
use varve_bucket::catalog::{Cause, gc};
use varve_bucket::{Bucket, Catalog, Change, Committed, paths};
use varve_model::{TimeRange, WINDOW_MS};
use varve_runtime::ManualClock;
use varve_testkit::FaultyStore;

struct Rig {
    store: FaultyStore,
    bucket: Bucket,
    clock: Arc<ManualClock>,
    catalog: Catalog,
    /// The block of version 1, which is in a leaf, and that of version 2.
    ids: [Ulid; 2],
}

/// A catalog whose version 2 lost its first race: its block is in no leaf.
async fn rig() -> Rig {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let (bucket, clock) = (over(Arc::new(store.clone())), clock());
    let (first, late) = (catalog(&bucket, &clock), catalog(&bucket, &clock));
    late.newest(&tenant()).await.unwrap();
    let changes = [
        shipment(&bucket, &clock, cut(1, 0, 0)).await,
        shipment(&bucket, &clock, cut(2, 0, 0)).await,
    ];
    let ids = [changes[0].add[0].id, changes[1].add[0].id];
    let [one, two] = changes;
    assert_eq!(first.commit(&tenant(), one).await.unwrap(), Committed::Now { version: 1 });
    assert_eq!(late.commit(&tenant(), two).await.unwrap(), Committed::Now { version: 2 });
    let catalog = catalog(&bucket, &clock);
    let rig = Rig { store, bucket, clock, catalog, ids };
    assert_eq!(rig.fresh().await, [ids[1]]);
    rig
}

impl Rig {
    /// Blocks of the newest version that are in no leaf.
    async fn fresh(&self) -> Vec<Ulid> {
        let newest = self.catalog.refresh(&tenant()).await.unwrap();
        newest.fresh(TimeRange::ALL).map(|b| b.id).collect()
    }

    async fn ship(&self, partition: u32, window: i64) -> (Ulid, Committed) {
        let change = shipment(&self.bucket, &self.clock, cut(partition, window, 0)).await;
        let id = change.add[0].id;
        (id, self.catalog.commit(&tenant(), change).await.unwrap())
    }

    /// The file names in a block's folder.
    async fn files(&self, id: Ulid) -> Vec<String> {
        let files = self.bucket.list(&paths::block(&tenant(), id));
        files.map_ok(|o| o.path.file_name().to_owned()).try_collect().await.unwrap()
    }

    /// Commits and collects until a version is collected; returns the newest.
    async fn outlive(&self, version: u64) -> u64 {
        let mut newest = 0;
        while self.catalog.floor(&tenant()).await.unwrap().version < version {
            newest = self.ship(100 + newest as u32, 0).await.1.version();
            self.collect().await;
        }
        // A collection may have written one itself.
        self.catalog.refresh(&tenant()).await.unwrap().version().max(newest)
    }

    async fn collect(&self) -> gc::Report {
        self.clock.advance(Duration::from_millis(2 * HOUR_MS as u64));
        gc::collect(&self.catalog, &tenant()).await.unwrap()
    }

    async fn remove(&self, by: &Catalog, id: Ulid) -> varve_bucket::catalog::Result<Committed> {
        let newest = self.catalog.refresh(&tenant()).await.unwrap();
        let all = newest.all_blocks().await.unwrap();
        let change = Change::remove(Cause::Retention, all.iter().filter(|b| b.id == id));
        by.commit(&tenant(), change).await
    }
}

#[tokio::test]
async fn readers_see_no_difference() {
    let rig = rig().await;
    let newest = rig.catalog.refresh(&tenant()).await.unwrap();
    assert_eq!(newest.block_count(), 2);
    assert_eq!(listed(&rig.bucket, &rig.clock).await, rig.ids);
    assert!(newest.has_cut(cut(2, 0, 0)).await.unwrap());
    assert!(!newest.has_cut(cut(3, 0, 0)).await.unwrap());
    let end = cut(0, 0, 0).window_end;
    let ids = async |range| {
        let blocks = newest.blocks(range).await.unwrap();
        blocks.iter().map(|b| b.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(TimeRange::window(end)).await, rig.ids, "in order of their ids");
    assert_eq!(ids(TimeRange::window(end + WINDOW_MS)).await, []);
    let leaves = rig.bucket.list_folder(&paths::leaves(&tenant())).await.unwrap();
    assert_eq!(leaves.objects.len(), 2, "that of version 1, and that of the lost race");
}

#[tokio::test]
async fn a_cut_is_committed_once() {
    let rig = rig().await;
    let (_, again) = rig.ship(2, 0).await;
    assert_eq!(again, Committed::Already { version: 2 });
}

#[tokio::test]
async fn a_calm_commit_puts_all_into_leaves() {
    // Of the same window, and of another one.
    for window in [0, 1] {
        let rig = rig().await;
        let (id, committed) = rig.ship(3, window).await;
        assert_eq!(committed, Committed::Now { version: 3 });
        assert_eq!(rig.fresh().await, []);
        assert_eq!(listed(&rig.bucket, &rig.clock).await, [&rig.ids[..], &[id]].concat());
    }
}

/// Whoever lost a race does not write leaves at first the next time.
#[tokio::test]
async fn who_has_raced_expects_others() {
    let rig = rig().await;
    let racer = catalog(&rig.bucket, &rig.clock);
    racer.newest(&tenant()).await.unwrap();
    rig.ship(3, 0).await;
    for (partition, fresh) in [(4, 1), (5, 2), (6, 0)] {
        let change = shipment(&rig.bucket, &rig.clock, cut(partition, 0, 0)).await;
        racer.commit(&tenant(), change).await.unwrap();
        assert_eq!(rig.fresh().await.len(), fresh, "partition {partition}");
    }
}

/// What arrives in a process while it has lost a race goes along.
#[tokio::test]
async fn who_makes_way_takes_along_what_arrives() {
    let rig = rig().await;
    let racer = catalog(&rig.bucket, &rig.clock);
    racer.newest(&tenant()).await.unwrap();
    rig.ship(3, 0).await;
    // Its look at what it has missed.
    let mut gate = rig.store.hold_call("00000000000000000004.json");
    let ready = |partition| shipment(&rig.bucket, &rig.clock, cut(partition, 0, 0));
    let commit = |change| {
        let racer = racer.clone();
        tokio::spawn(async move { racer.commit(&tenant(), change).await })
    };
    let first = commit(ready(4).await);
    gate.arrived().await;
    let change = ready(5).await;
    rig.store.take_counts();
    let second = commit(change);
    // It has looked at its block's three files, and waits.
    let mut heads = 0;
    while heads < 3 {
        tokio::task::yield_now().await;
        heads += rig.store.take_counts().get("head").copied().unwrap_or(0);
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.open();
    for commit in [first, second] {
        assert_eq!(commit.await.unwrap().unwrap(), Committed::Now { version: 4 });
    }
}

/// Fresh entries only add: who removes writes the window's leaf, at once after a
/// lost race too.
#[tokio::test]
async fn who_has_raced_removes_for_good() {
    // What is in a leaf, and what is fresh.
    for nth in [0, 1] {
        let rig = rig().await;
        let racer = catalog(&rig.bucket, &rig.clock);
        racer.newest(&tenant()).await.unwrap();
        let (id, _) = rig.ship(3, 1).await;
        let change = shipment(&rig.bucket, &rig.clock, cut(4, 1, 0)).await;
        let raced = change.add[0].id;
        assert_eq!(racer.commit(&tenant(), change).await.unwrap(), Committed::Now { version: 4 });
        assert_eq!(rig.fresh().await, [raced]);
        let gone = [rig.ids[nth], raced][nth];
        let removed = rig.remove(&racer, gone).await.unwrap();
        assert_eq!(removed, Committed::Now { version: 5 });
        let mut left = [rig.ids[0], rig.ids[1], id, raced].to_vec();
        left.retain(|id| *id != gone);
        assert_eq!(listed(&rig.bucket, &rig.clock).await, left, "without {gone}");
    }
}

#[tokio::test]
async fn many_become_leaves() {
    for (shipments, fresh) in [(500, 500), (512, 512), (513, 0)] {
        let rig = rig().await;
        let late = catalog(&rig.bucket, &rig.clock);
        late.newest(&tenant()).await.unwrap();
        rig.ship(3, 0).await;
        let mut commits = Vec::new();
        for partition in 0..shipments {
            let change = shipment(&rig.bucket, &rig.clock, cut(partition, 7, 0)).await;
            let late = late.clone();
            commits.push(tokio::spawn(async move { late.commit(&tenant(), change).await }));
        }
        for commit in commits {
            assert_eq!(commit.await.unwrap().unwrap(), Committed::Now { version: 4 });
        }
        assert_eq!(rig.fresh().await.len(), fresh);
        assert_eq!(listed(&rig.bucket, &rig.clock).await.len(), 3 + shipments as usize);
    }
}

#[tokio::test]
async fn collections_keep_what_is_listed_and_delete_what_is_not() {
    let rig = rig().await;
    for _ in 0..20 {
        rig.collect().await;
    }
    assert!(rig.files(rig.ids[1]).await.contains(&"block.json".to_owned()), "it is live");
    assert_eq!(rig.fresh().await, [rig.ids[1]], "nobody commits, so it stays where it is");
    rig.remove(&rig.catalog, rig.ids[1]).await.unwrap();
    assert_eq!(
        (rig.fresh().await, listed(&rig.bucket, &rig.clock).await),
        (vec![], vec![rig.ids[0]])
    );
    let replaced: Vec<_> = [rig.collect().await, rig.collect().await, rig.collect().await]
        .into_iter()
        .flat_map(|report| report.replaced)
        .collect();
    assert_eq!(replaced, [rig.ids[1]]);
    assert_eq!(rig.files(rig.ids[1]).await, Vec::<String>::new());
    let (_, again) = rig.ship(2, 0).await;
    assert!(matches!(again, Committed::Already { .. }), "its cut is remembered: {again:?}");
}

/// A committer removes one and dies before its mark: a collection makes up for
/// it, so that a rebuild at any time does not bring it back.
#[tokio::test]
async fn a_removed_one_does_not_rise() {
    let rig = rig().await;
    let mut gate = rig.store.hold("removed-");
    {
        let (bucket, clock, id) = (rig.bucket.clone(), rig.clock.clone(), rig.ids[1]);
        let all = rig.catalog.refresh(&tenant()).await.unwrap().all_blocks().await.unwrap();
        let dying = catalog(&bucket, &clock);
        let change = Change::remove(Cause::Retention, all.iter().filter(|b| b.id == id));
        tokio::spawn(async move { dying.commit(&tenant(), change).await });
    }
    gate.arrived().await;
    rig.ship(3, 0).await;
    rig.store.take_log();
    assert_eq!(rig.collect().await.replaced, [rig.ids[1]]);
    let log = rig.store.take_log();
    let position = |part: &str| {
        let call = |c: &String| c.contains(&rig.ids[1].to_string()) && c.contains(part);
        log.iter().position(call).unwrap_or_else(|| panic!("no {part}: {log:?}"))
    };
    let marked = position("removed-00000000000000000003");
    assert!(marked < position("delete"), "the mark comes first: {log:?}");
}

#[tokio::test]
async fn a_rebuilt_catalog_has_them() {
    let rig = rig().await;
    let all: Vec<_> = rig.bucket.list(&paths::catalog(&tenant())).try_collect().await.unwrap();
    for object in all {
        rig.bucket.delete(&object.path).await.unwrap();
    }
    let rebuilt = rebuild_catalog(&rig.catalog, &tenant()).await.unwrap();
    assert_eq!((rebuilt.version, rebuilt.blocks), (1, 2));
    assert_eq!(listed(&rig.bucket, &rig.clock).await, rig.ids);
    let fresh = catalog(&rig.bucket, &rig.clock);
    let change = shipment(&rig.bucket, &rig.clock, cut(2, 0, 0)).await;
    let again = fresh.commit(&tenant(), change).await.unwrap();
    assert_eq!(again, Committed::Already { version: 1 });
}

/// Another leader built a block of the same cut and died before its commit. It
/// must not take the place of one that was collected without ever having been
/// in a leaf.
#[tokio::test]
async fn a_rebuild_knows_the_cuts_of_collected_ones() {
    let rig = rig().await;
    rig.remove(&rig.catalog, rig.ids[1]).await.unwrap();
    while !rig.files(rig.ids[1]).await.is_empty() {
        rig.collect().await;
    }
    let other = shipment(&rig.bucket, &rig.clock, cut(2, 0, 0)).await.add[0].id;
    let all: Vec<_> = rig.bucket.list(&paths::catalog(&tenant())).try_collect().await.unwrap();
    for object in all {
        rig.bucket.delete(&object.path).await.unwrap();
    }
    rebuild_catalog(&rig.catalog, &tenant()).await.unwrap();
    assert!(!rig.files(other).await.is_empty(), "it lies there");
    assert_eq!(listed(&rig.bucket, &rig.clock).await, [rig.ids[0]]);
}

/// A version with fresh entries is remembered until its leaf is collected; what
/// is committed then to another window has to write that leaf again.
#[tokio::test]
async fn who_remembers_what_is_gone_looks_again() {
    let rig = rig().await;
    let idle = catalog(&rig.bucket, &rig.clock);
    assert_eq!(idle.newest(&tenant()).await.unwrap().version(), 2);
    let newest = rig.outlive(2).await;
    let change = shipment(&rig.bucket, &rig.clock, cut(1000, 9, 0)).await;
    let committed = idle.commit(&tenant(), change).await.unwrap();
    assert_eq!(committed, Committed::Now { version: newest + 1 });
}

/// Two committers slept until the number that they wanted was collected. One
/// has created it and died; the other finds it, and must not take it for the
/// newest version, nor tell its readers that it is.
#[tokio::test]
async fn who_loses_to_a_void_version_asks_for_the_floor() {
    let rig = rig().await;
    rig.ship(3, 0).await;
    let sleeper = catalog(&rig.bucket, &rig.clock);
    assert_eq!(sleeper.newest(&tenant()).await.unwrap().version(), 3);
    rig.ship(4, 0).await;
    let fourth = paths::manifest(&tenant(), 4);
    let void = rig.bucket.get(&fourth, 1 << 20).await.unwrap();
    let newest = rig.outlive(5).await;
    rig.bucket.put(&fourth, void).await.unwrap();

    // Of a window of its own, so that it needs no leaf that is gone.
    let change = shipment(&rig.bucket, &rig.clock, cut(1000, 9, 0)).await;
    let mut gate = rig.store.hold("00000000000000000005.json");
    let late = sleeper.clone();
    let commit = tokio::spawn(async move { late.commit(&tenant(), change).await });
    tokio::select! {
        () = gate.arrived() => {}
        done = commit => assert_eq!(done.unwrap().unwrap(), Committed::Now { version: newest + 1 }),
    }
    let seen = sleeper.newest(&tenant()).await.unwrap().version();
    assert!(seen >= newest, "version {seen} is taken for the newest, {newest} is there");
}
