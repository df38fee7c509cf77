//! The catalog's promises, each against the accident that would break it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{
    HOUR_MS, MINUTE_MS, START_MS, catalog, clock, cut, listed, meta, new_id, over, shipment,
    tenant, upload,
};
use object_store::memory::InMemory;
use varve_bucket::catalog::{Cause, Floor, gc};
use varve_bucket::{Bucket, Catalog, CatalogError, Change, Committed, paths};
use varve_model::{ErrorKind, TimeRange, WINDOW_MS};
use varve_runtime::{Clock, ManualClock};
use varve_testkit::FaultyStore;

struct Rig {
    store: FaultyStore,
    bucket: Bucket,
    clock: Arc<ManualClock>,
    catalog: Catalog,
}

fn rig() -> Rig {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let bucket = over(Arc::new(store.clone()));
    let clock = clock();
    let catalog = catalog(&bucket, &clock);
    Rig { store, bucket, clock, catalog }
}

impl Rig {
    /// Another process on the same bucket.
    fn process(&self) -> Catalog {
        catalog(&self.bucket, &self.clock)
    }

    fn pass(&self, ms: i64) {
        self.clock.advance(Duration::from_millis(ms as u64));
    }

    async fn ship(&self, by: &Catalog, partition: u32, number: u64) -> Committed {
        let change = shipment(&self.bucket, &self.clock, cut(partition, 0, number)).await;
        by.commit(&tenant(), change).await.unwrap()
    }

    /// Commits and collects until versions up to `version` are gone.
    async fn collect_beyond(&self, by: &Catalog, version: u64) {
        for number in version * 100.. {
            self.ship(by, 1000, number).await;
            self.pass(2 * HOUR_MS);
            let report = gc::collect(by, &tenant()).await.unwrap();
            if report.floor >= version {
                return;
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_tenant_is_empty() {
    let rig = rig();
    let newest = rig.catalog.newest(&tenant()).await.unwrap();
    assert_eq!((newest.version(), newest.block_count()), (0, 0));
    assert_eq!(rig.catalog.at(&tenant(), 0).await.unwrap().version(), 0);
    let error = rig.catalog.at(&tenant(), 1).await.unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchVersion { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn steady_state_costs_one_small_request_and_no_list() {
    let rig = rig();
    for number in 0..5 {
        rig.ship(&rig.catalog, 1, number).await;
    }
    rig.store.take_log();
    rig.catalog.refresh(&tenant()).await.unwrap();
    assert_eq!(rig.store.take_log(), ["get team-a/catalog/00000000000000000006.json"]);
    // Within fresh_ms not even that.
    rig.catalog.newest(&tenant()).await.unwrap();
    assert!(rig.store.take_log().is_empty());
    // A process that starts needs a handful, and no LIST.
    let fresh = rig.process();
    assert_eq!(fresh.newest(&tenant()).await.unwrap().version(), 5);
    let log = rig.store.take_log();
    assert!(log.len() <= 6 && !log.iter().any(|l| l.starts_with("list")), "{log:?}");
}

#[tokio::test]
async fn a_commit_is_seen_by_everybody_at_once() {
    let rig = rig();
    let reader = rig.process();
    for number in 0..4 {
        let version = rig.ship(&rig.catalog, 1, number).await.version();
        assert_eq!(reader.refresh(&tenant()).await.unwrap().version(), version);
        assert_eq!(reader.at_least(&tenant(), version).await.unwrap().version(), version);
        assert_eq!(rig.process().at(&tenant(), version).await.unwrap().version(), version);
    }
    let error = reader.at_least(&tenant(), 99).await.unwrap_err();
    assert!(matches!(error, CatalogError::NoSuchVersion { version: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_cut_is_committed_once() {
    let rig = rig();
    let first = rig.ship(&rig.catalog, 3, 0).await;
    assert_eq!(first, Committed::Now { version: 1 });
    // A new leader builds the block again, under another id.
    let other = rig.process();
    assert_eq!(rig.ship(&other, 3, 0).await, Committed::Already { version: 1 });
    assert_eq!(rig.ship(&other, 3, 1).await, Committed::Now { version: 2 });
    // It is remembered after the block has been merged away, and expired.
    let blocks = other.newest(&tenant()).await.unwrap().all_blocks().await.unwrap();
    let mut merged = meta(new_id(rig.clock.now_ms()), cut(0, 0, 0));
    merged.level = 1;
    let merged = upload(&rig.bucket, &merged).await;
    let change = Change::replace(Cause::Merge, vec![merged.clone()], &blocks);
    assert_eq!(other.commit(&tenant(), change).await.unwrap(), Committed::Now { version: 3 });
    assert_eq!(rig.ship(&other, 3, 0).await, Committed::Already { version: 3 });
    let expire = Change::remove(Cause::Retention, [&merged]);
    assert_eq!(other.commit(&tenant(), expire).await.unwrap(), Committed::Now { version: 4 });
    assert_eq!(rig.ship(&rig.process(), 3, 1).await, Committed::Already { version: 4 });
    let newest = rig.process().newest(&tenant()).await.unwrap();
    for (key, expected) in
        [(cut(3, 0, 0), true), (cut(3, 0, 1), true), (cut(3, 0, 2), false), (cut(3, 1, 0), false)]
    {
        assert_eq!(newest.has_cut(key).await.unwrap(), expected, "{key:?}");
    }
    assert!(listed(&rig.bucket, &rig.clock).await.is_empty());
}

#[tokio::test]
async fn waiting_commits_share_a_version() {
    let rig = rig();
    let mut gate = rig.store.hold("00000000000000000001.json");
    let mut changes = Vec::new();
    for partition in 0..10 {
        changes.push(shipment(&rig.bucket, &rig.clock, cut(partition, 0, 0)).await);
    }
    let commit = |change: Change| {
        let catalog = rig.catalog.clone();
        tokio::spawn(async move { catalog.commit(&tenant(), change).await.unwrap() })
    };
    let mut tasks = vec![commit(changes.remove(0))];
    gate.arrived().await;
    tasks.extend(changes.into_iter().map(commit));
    // One that goes away is committed all the same.
    tasks.remove(4).abort();
    rig.store.take_log();
    while rig.store.take_log().iter().any(|l| l.starts_with("head")) {
        tokio::task::yield_now().await;
    }
    gate.open();
    let done = futures::future::join_all(tasks).await;
    let mut versions: Vec<u64> = done.into_iter().map(|c| c.unwrap().version()).collect();
    versions.dedup();
    assert_eq!(versions[0], 1);
    assert!(versions.len() <= 3, "{versions:?}");
    assert!(listed(&rig.bucket, &rig.clock).await.len() >= 9);
}

#[tokio::test]
async fn merges_of_the_same_blocks_exclude_each_other() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    rig.ship(&rig.catalog, 1, 1).await;
    let blocks = rig.catalog.refresh(&tenant()).await.unwrap().all_blocks().await.unwrap();
    let mut merges = Vec::new();
    for _ in 0..2 {
        let entry = upload(&rig.bucket, &meta(new_id(START_MS), cut(0, 0, 0))).await;
        merges.push(Change::replace(Cause::Merge, vec![entry], &blocks));
    }
    let other = rig.process();
    other.newest(&tenant()).await.unwrap();
    rig.catalog.commit(&tenant(), merges[0].clone()).await.unwrap();
    let error = other.commit(&tenant(), merges[1].clone()).await.unwrap_err();
    assert!(matches!(error, CatalogError::BlockGone { version: 3, .. }), "{error}");
    // The winner's repetition is no error.
    let again = other.commit(&tenant(), merges[0].clone()).await.unwrap();
    assert_eq!(again, Committed::Already { version: 3 });
    assert_eq!(listed(&rig.bucket, &rig.clock).await, [merges[0].add[0].id]);
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused() {
    let rig = rig();
    let good = shipment(&rig.bucket, &rig.clock, cut(1, 0, 0)).await;
    let entry = good.add[0].clone();
    let check = async |change: Change, expected: &str| {
        let error = rig.catalog.commit(&tenant(), change).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.kind().is_retryable(), "{error}");
    };
    check(Change::ship(cut(1, 0, 0), vec![]), "neither adds nor removes").await;
    check(Change::ship(cut(1, 0, 0), vec![entry.clone(), entry.clone()]), "added twice").await;
    let mut empty = entry.clone();
    empty.range = TimeRange::new(5, 5);
    check(Change::ship(cut(1, 0, 0), vec![empty]), "range").await;
    let swap = Change::replace(Cause::Merge, vec![entry.clone()], [&entry]);
    check(swap, "named twice").await;
    let mut short = entry.clone();
    short.files.get_mut("series.parquet").unwrap().size = 8;
    check(Change::ship(cut(1, 0, 0), vec![short]), "series.parquet: 7 bytes").await;
    let json = paths::block_file(&tenant(), entry.id, "block.json");
    rig.bucket.delete(&json).await.unwrap();
    check(good.clone(), "block.json: not found").await;
    rig.pass(12 * HOUR_MS);
    check(good, "ms ago").await;
    assert!(listed(&rig.bucket, &rig.clock).await.is_empty());
}

#[tokio::test]
async fn removal_passes_over_what_is_gone() {
    let rig = rig();
    for window in 0..3 {
        let change = shipment(&rig.bucket, &rig.clock, cut(1, window, 0)).await;
        rig.catalog.commit(&tenant(), change).await.unwrap();
    }
    let snapshot = rig.catalog.newest(&tenant()).await.unwrap();
    let old = snapshot.blocks(TimeRange::new(i64::MIN, START_MS - WINDOW_MS)).await.unwrap();
    assert_eq!(old.len(), 2);
    let expire = Change::remove(Cause::Retention, &old);
    let now = rig.catalog.commit(&tenant(), expire.clone()).await.unwrap();
    assert_eq!(now, Committed::Now { version: 4 });
    let again = rig.process().commit(&tenant(), expire).await.unwrap();
    assert_eq!(again, Committed::Already { version: 4 });
    assert_eq!(listed(&rig.bucket, &rig.clock).await.len(), 1);
    // A reader of the old version still sees all.
    assert_eq!(snapshot.all_blocks().await.unwrap().len(), 3);
}

#[tokio::test]
async fn ranges_choose_blocks_and_leaves() {
    let rig = rig();
    for window in 0..4 {
        let change = shipment(&rig.bucket, &rig.clock, cut(1, window, 0)).await;
        rig.catalog.commit(&tenant(), change).await.unwrap();
    }
    let mut long = meta(new_id(START_MS), cut(2, 0, 0));
    long.range = TimeRange::new(START_MS - 4 * WINDOW_MS, START_MS);
    let long = upload(&rig.bucket, &long).await;
    let change = Change::replace(Cause::Import, vec![long], []);
    rig.catalog.commit(&tenant(), change).await.unwrap();
    let snapshot = rig.process().newest(&tenant()).await.unwrap();
    let check = async |from: i64, to: i64, expected: usize| {
        let range = TimeRange::new(START_MS + from * WINDOW_MS, START_MS + to * WINDOW_MS);
        let blocks = snapshot.blocks(range).await.unwrap();
        assert_eq!(blocks.len(), expected, "{from}..{to}");
        let listed: u64 = snapshot.leaves(range).map(|l| l.blocks).sum();
        assert!(listed >= expected as u64);
    };
    check(-1, 0, 2).await;
    check(-2, -1, 2).await;
    check(-4, 0, 5).await;
    check(-5, -4, 0).await;
    check(0, 10, 0).await;
    assert_eq!(snapshot.all_blocks().await.unwrap().len(), 5);
    // A commit to one window leaves the names of the others' leaves alone.
    let past = TimeRange::new(START_MS - 3 * WINDOW_MS, START_MS - 2 * WINDOW_MS);
    let names =
        |s: &varve_bucket::Snapshot| s.leaves(past).map(|l| l.name.clone()).collect::<Vec<_>>();
    let before = names(&snapshot);
    let change = shipment(&rig.bucket, &rig.clock, cut(1, 1, 9)).await;
    rig.catalog.commit(&tenant(), change).await.unwrap();
    let after = rig.catalog.newest(&tenant()).await.unwrap();
    assert_eq!(names(&after), before);
}

#[tokio::test]
async fn a_stale_or_lying_hint_only_costs_requests() {
    let rig = rig();
    let hint = paths::hint(&tenant());
    let mut old = Bytes::new();
    for number in 0..40 {
        rig.ship(&rig.catalog, 1, number).await;
        if number == 2 {
            old = rig.bucket.get(&hint, 1000).await.unwrap();
        }
    }
    let check = async |content: Option<Bytes>| {
        match content {
            Some(bytes) => rig.bucket.put(&hint, bytes).await.unwrap(),
            None => rig.bucket.delete(&hint).await.unwrap(),
        }
        let newest = rig.process().newest(&tenant()).await.unwrap();
        assert_eq!(newest.version(), 40);
    };
    check(Some(old.clone())).await;
    check(None).await;
    check(Some("{".into())).await;
    check(Some(r#"{"format":1,"version":7000,"floor_sequence":900}"#.into())).await;
    assert_eq!(rig.process().floor(&tenant()).await.unwrap(), Floor::default());
    // Below the floor: one LIST.
    rig.pass(2 * HOUR_MS);
    gc::collect(&rig.catalog, &tenant()).await.unwrap();
    let Floor { sequence, version, seen, .. } = rig.process().floor(&tenant()).await.unwrap();
    assert_eq!((sequence, version, seen), (1, 38, 40));
    rig.bucket.put(&hint, old).await.unwrap();
    rig.store.take_log();
    assert_eq!(rig.process().newest(&tenant()).await.unwrap().version(), 40);
    let lists = rig.store.take_log().into_iter().filter(|l| l.starts_with("list")).count();
    assert_eq!(lists, 1);
}

#[tokio::test]
async fn a_lost_catalog_is_an_error_not_an_empty_one() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    rig.bucket.delete(&paths::manifest(&tenant(), 1)).await.unwrap();
    let error = rig.process().newest(&tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn collected_versions_are_a_typed_error() {
    let rig = rig();
    let reader = rig.process();
    for number in 0..3 {
        rig.ship(&rig.catalog, 1, number).await;
    }
    let pin = reader.pin(&tenant()).await.unwrap();
    let old = reader.at(&tenant(), 2).await.unwrap();
    rig.pass(14 * MINUTE_MS);
    assert_eq!(pin.snapshot().unwrap().version(), 3);
    rig.pass(2 * MINUTE_MS);
    assert!(pin.snapshot().unwrap_err().is_version_gone());
    // Version 2 was replaced less than the grace period ago: nothing goes.
    let report = gc::collect(&rig.catalog, &tenant()).await.unwrap();
    assert_eq!((report.floor, report.manifests), (0, 0));
    rig.pass(HOUR_MS);
    let report = gc::collect(&rig.catalog, &tenant()).await.unwrap();
    assert_eq!((report.floor, report.manifests, report.leaves), (2, 2, 2));
    assert!(report.replaced.is_empty() && report.orphans.is_empty());
    for version in [1, 2] {
        let error = rig.process().at(&tenant(), version).await.unwrap_err();
        assert!(matches!(error, CatalogError::VersionGone { floor: 2, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    // A snapshot whose leaf was not read in time says the same.
    let error = old.all_blocks().await.unwrap_err();
    assert!(error.is_version_gone(), "{error}");
    assert_eq!(rig.process().at(&tenant(), 3).await.unwrap().block_count(), 3);
}

/// The accident that the floor is for: a committer sleeps before its manifest
/// while others commit and collect so far that its number is free again.
#[tokio::test]
async fn a_committer_that_sleeps_through_a_collection_loses_nothing() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    let sleeper = rig.process();
    sleeper.newest(&tenant()).await.unwrap();
    let change = shipment(&rig.bucket, &rig.clock, cut(7, 0, 0)).await;
    let id = change.add[0].id;
    let mut gate = rig.store.hold("00000000000000000002.json");
    let task = {
        let sleeper = sleeper.clone();
        tokio::spawn(async move { sleeper.commit(&tenant(), change).await })
    };
    gate.arrived().await;
    rig.collect_beyond(&rig.catalog, 2).await;
    assert!(rig.bucket.head(&paths::manifest(&tenant(), 2)).await.is_err());
    gate.open();
    let committed = task.await.unwrap().unwrap();
    assert!(committed.version() > 2, "{committed:?}");
    assert!(listed(&rig.bucket, &rig.clock).await.contains(&id));
    // The void manifest is gone, and a reader that slept too is not misled.
    assert!(rig.bucket.head(&paths::manifest(&tenant(), 2)).await.is_err());
    let newest = sleeper.refresh(&tenant()).await.unwrap();
    assert_eq!(newest.version(), committed.version());
    // Nor is the block taken for one that a collected version named.
    rig.collect_beyond(&rig.catalog, committed.version()).await;
    assert!(listed(&rig.bucket, &rig.clock).await.contains(&id));
    for file in ["block.json", "series.parquet", "samples.parquet"] {
        rig.bucket.head(&paths::block_file(&tenant(), id, file)).await.unwrap();
    }
}

/// A void manifest names a block that its committer is about to commit again:
/// to a collection that meets it, it must not count as a version that did.
#[tokio::test]
async fn what_a_void_manifest_names_is_not_collected() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    let sleeper = rig.process();
    sleeper.newest(&tenant()).await.unwrap();
    let change = shipment(&rig.bucket, &rig.clock, cut(7, 0, 0)).await;
    let id = change.add[0].id;
    let mut put = rig.store.hold("00000000000000000002.json");
    let task = tokio::spawn(async move { sleeper.commit(&tenant(), change).await });
    put.arrived().await;
    rig.collect_beyond(&rig.catalog, 2).await;
    // It wins, finds that it is void, and sleeps again before it deletes it.
    let mut delete = rig.store.hold("00000000000000000002.json");
    put.open();
    delete.arrived().await;
    rig.collect_beyond(&rig.catalog, 3).await;
    delete.open();
    let committed = task.await.unwrap().unwrap();
    assert!(committed.version() > 3, "{committed:?}");
    for file in ["block.json", "series.parquet", "samples.parquet"] {
        rig.bucket.head(&paths::block_file(&tenant(), id, file)).await.unwrap();
    }
}

/// The JSON in the frame of a manifest; it is read without the frame too.
fn text_of(manifest: &[u8]) -> String {
    String::from_utf8(zstd::bulk::decompress(manifest, 1 << 20).unwrap()).unwrap()
}

/// Readers and committers that meet a void manifest must not build on it.
#[tokio::test]
async fn a_void_manifest_misleads_nobody() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    let content = rig.bucket.get(&paths::manifest(&tenant(), 1), 1 << 20).await.unwrap();
    let sleepers: Vec<Catalog> = (0..2).map(|_| rig.process()).collect();
    for sleeper in &sleepers {
        sleeper.newest(&tenant()).await.unwrap();
    }
    rig.collect_beyond(&rig.catalog, 3).await;
    // What a committer leaves that dies between its manifest and the floor.
    let void = text_of(&content);
    let void = void.replace(r#""version":1,"#, r#""version":2,"#);
    assert_ne!(void, text_of(&content));
    rig.bucket.put(&paths::manifest(&tenant(), 2), void.into()).await.unwrap();
    let newest = rig.catalog.refresh(&tenant()).await.unwrap().version();
    assert_eq!(sleepers[0].refresh(&tenant()).await.unwrap().version(), newest);
    let error = rig.process().at(&tenant(), 2).await.unwrap_err();
    assert!(error.is_version_gone(), "{error}");
    // A hint that names it, the worst of all.
    let hint = r#"{"format":1,"version":2,"floor_sequence":1}"#;
    rig.bucket.put(&paths::hint(&tenant()), hint.into()).await.unwrap();
    assert_eq!(rig.process().newest(&tenant()).await.unwrap().version(), newest);
    let committed = rig.ship(&sleepers[1], 5, 0).await;
    assert_eq!(committed, Committed::Now { version: newest + 1 });
    // The next collection removes it.
    gc::collect(&rig.catalog, &tenant()).await.unwrap();
    assert!(rig.bucket.head(&paths::manifest(&tenant(), 2)).await.is_err());
}

/// A committer that sleeps so long that its own files are collected as orphans
/// finds the number of its version taken.
#[tokio::test]
async fn a_commit_of_files_that_grew_too_old_does_not_land() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    let change = shipment(&rig.bucket, &rig.clock, cut(7, 0, 0)).await;
    let old = change.add[0].id;
    let mut gate = rig.store.hold("00000000000000000002.json");
    let sleeper = rig.process();
    let task = {
        let (sleeper, change) = (sleeper.clone(), change.clone());
        tokio::spawn(async move { sleeper.commit(&tenant(), change).await })
    };
    gate.arrived().await;
    rig.pass(25 * HOUR_MS);
    let report = gc::collect(&rig.catalog, &tenant()).await.unwrap();
    assert_eq!(report.orphans, [old]);
    gate.open();
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error, CatalogError::Contended { lost: 1, .. }), "{error}");
    let error = sleeper.commit(&tenant(), change.clone()).await.unwrap_err();
    assert!(matches!(error, CatalogError::BlockTooOld { id, .. } if id == old), "{error}");
    assert!(!error.kind().is_retryable());
    let left = listed(&rig.bucket, &rig.clock).await;
    assert_eq!(left.len(), 1);
    assert!(!left.contains(&old));
    // Built again, the same cut is committed.
    let again = rig.ship(&sleeper, 7, 0).await;
    assert!(matches!(again, Committed::Now { .. }), "{again:?}");
}

#[tokio::test]
async fn answers_that_get_lost_are_found_again() {
    for lose_every in [1, 2, 3, 5] {
        let rig = rig();
        let mut ids = Vec::new();
        for number in 0..10 {
            let change = shipment(&rig.bucket, &rig.clock, cut(1, 0, number)).await;
            ids.push(change.add[0].id);
            // Every write happens, and some or all of them report an error.
            rig.store.lose_every(lose_every);
            let mut tries = 0;
            let committed = loop {
                let result = rig.catalog.commit(&tenant(), change.clone()).await;
                match result {
                    Ok(committed) => break committed,
                    Err(error) => assert!(error.kind().is_retryable(), "{error}"),
                }
                tries += 1;
                assert!(tries < 50, "never committed with lose_every {lose_every}");
                if lose_every == 1 {
                    // Puts that never answer can only be found after the fact.
                    rig.store.lose_every(0);
                }
            };
            rig.store.lose_every(0);
            assert_eq!(committed.version(), number + 1);
        }
        ids.sort();
        assert_eq!(listed(&rig.bucket, &rig.clock).await, ids, "lose_every {lose_every}");
    }
}

#[tokio::test]
async fn failures_and_outages_lose_nothing() {
    let rig = rig();
    rig.store.fail_every(3);
    for number in 0..10 {
        rig.ship(&rig.catalog, 1, number).await;
    }
    rig.store.fail_every(0);
    let change = shipment(&rig.bucket, &rig.clock, cut(2, 0, 0)).await;
    rig.store.outage(true);
    let error = rig.catalog.commit(&tenant(), change.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(rig.catalog.refresh(&tenant()).await.is_err());
    rig.store.outage(false);
    rig.catalog.commit(&tenant(), change).await.unwrap();
    assert_eq!(listed(&rig.bucket, &rig.clock).await.len(), 11);
}

#[tokio::test]
async fn corrupt_objects_are_named() {
    let rig = rig();
    rig.ship(&rig.catalog, 1, 0).await;
    let manifest = paths::manifest(&tenant(), 1);
    let good = rig.bucket.get(&manifest, 1 << 20).await.unwrap();
    let text = text_of(&good);
    let check = async |content: String, kind: ErrorKind, expected: &str| {
        rig.bucket.put(&manifest, content.into()).await.unwrap();
        let fresh = rig.process();
        let result = async { fresh.newest(&tenant()).await?.all_blocks().await };
        let error = result.await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(String::new(), ErrorKind::Corrupt, "EOF").await;
    check(text.replace("team-a", "team-b"), ErrorKind::Corrupt, "team-b").await;
    check(text.replace(r#""format":2"#, r#""format":3"#), ErrorKind::Internal, "format 3").await;
    let leaf = rig.bucket.list_folder(&paths::leaves(&tenant())).await.unwrap();
    rig.bucket.put(&manifest, good).await.unwrap();
    let path = &leaf.objects[0].path;
    let mut bytes = rig.bucket.get(path, 1 << 20).await.unwrap().to_vec();
    bytes[20] ^= 1;
    rig.bucket.put(path, bytes.into()).await.unwrap();
    check(text, ErrorKind::Corrupt, "hash of its name").await;
}
