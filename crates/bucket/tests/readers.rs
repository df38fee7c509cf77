//! Readers with stale hints, collected versions and dead pins: each ends in
//! the right answer, or in an error that says "pin anew", and then in the
//! right answer.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{HOUR_MS, MINUTE_MS, catalog, clock, cut, over, shipment, tenant};
use object_store::memory::InMemory;
use ulid::Ulid;
use varve_bucket::catalog::{CatalogError, Cause, gc};
use varve_bucket::{Bucket, Catalog, Change, Snapshot, paths};
use varve_runtime::ManualClock;
use varve_testkit::FaultyStore;

/// A tenant with 40 versions and, behind the floor, more.
struct Shop {
    inner: Arc<InMemory>,
    bucket: Bucket,
    clock: Arc<ManualClock>,
    writer: Catalog,
    next: u64,
    live: BTreeSet<Ulid>,
}

impl Shop {
    async fn open() -> Self {
        let inner = Arc::new(InMemory::new());
        let (bucket, clock) = (over(inner.clone()), clock());
        let writer = catalog(&bucket, &clock);
        Self { inner, bucket, clock, writer, next: 0, live: BTreeSet::new() }
    }

    /// Makes versions; every third one removes a block.
    async fn commit(&mut self, versions: usize) {
        for _ in 0..versions {
            self.next += 1;
            if self.next.is_multiple_of(3) {
                let newest = self.writer.refresh(&tenant()).await.unwrap();
                let all = newest.all_blocks().await.unwrap();
                self.live.remove(&all[0].id);
                let change = Change::remove(Cause::Retention, &all[..1]);
                self.writer.commit(&tenant(), change).await.unwrap();
            } else {
                let key = cut(1, (self.next % 5) as i64, self.next);
                let change = shipment(&self.bucket, &self.clock, key).await;
                self.live.insert(change.add[0].id);
                self.writer.commit(&tenant(), change).await.unwrap();
            }
        }
    }

    fn pass(&self, ms: i64) {
        self.clock.advance(Duration::from_millis(ms as u64));
    }

    /// Collects every version that is there now.
    async fn collect(&mut self) {
        self.commit(2).await;
        for _ in 0..2 {
            self.pass(2 * HOUR_MS);
            gc::collect(&self.writer, &tenant()).await.unwrap();
        }
    }

    /// A reader that knows nothing yet, and its way to the store.
    fn reader(&self) -> (Catalog, FaultyStore) {
        let store = FaultyStore::new(self.inner.clone());
        (catalog(&over(Arc::new(store.clone())), &self.clock), store)
    }

    async fn is_right(&self, snapshot: &Snapshot) -> bool {
        let all = snapshot.all_blocks().await.unwrap();
        all.into_iter().map(|b| b.id).collect::<BTreeSet<_>>() == self.live
    }

    async fn hint(&self, content: Option<Bytes>) {
        match content {
            Some(bytes) => self.bucket.put(&paths::hint(&tenant()), bytes).await.unwrap(),
            None => self.bucket.delete(&paths::hint(&tenant())).await.unwrap(),
        }
    }
}

fn hint(version: u64, floor_sequence: u64) -> Option<Bytes> {
    let json = format!(r#"{{"format":1,"version":{version},"floor_sequence":{floor_sequence}}}"#);
    Some(json.into())
}

#[tokio::test]
async fn whatever_the_hint_says_the_newest_version_is_found() {
    let mut shop = Shop::open().await;
    for collected in [false, true] {
        if collected {
            shop.collect().await;
        }
        shop.commit(40).await;
        let newest = shop.writer.refresh(&tenant()).await.unwrap().version();
        let floor = shop.writer.floor(&tenant()).await.unwrap();
        assert_eq!(floor.version > 0, collected);
        for (name, content) in [
            ("right", hint(newest, floor.sequence)),
            ("one behind", hint(newest - 1, floor.sequence)),
            ("far behind", hint(floor.version + 1, floor.sequence)),
            ("behind, of an older floor", hint(floor.version + 1, 0)),
            ("the floor itself", hint(floor.version, floor.sequence)),
            ("below the floor", hint(1, 0)),
            ("nothing", hint(0, 0)),
            ("one ahead", hint(newest + 1, floor.sequence)),
            ("far ahead", hint(newest + 7000, 900)),
            ("the last number", hint(u64::MAX, u64::MAX)),
            ("no JSON", Some("{".into())),
            ("empty", Some(Bytes::new())),
            ("another thing", Some("[1,2]".into())),
            ("a newer format", Some(r#"{"format":9,"version":"x"}"#.into())),
            ("missing", None),
        ] {
            shop.hint(content).await;
            let (reader, _) = shop.reader();
            let found = reader.newest(&tenant()).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(found.version(), newest, "{name}");
            assert!(shop.is_right(&found).await, "{name}");
            assert!(shop.is_right(reader.pin(&tenant()).await.unwrap().snapshot().unwrap()).await);
        }
    }
}

/// A reader stands still at every request of its search in turn, while what it
/// has found so far is collected.
#[tokio::test]
async fn versions_that_are_collected_during_the_search_mislead_nobody() {
    for warm in [false, true] {
        for at in 1..=8 {
            let mut shop = Shop::open().await;
            shop.commit(10).await;
            let (reader, store) = shop.reader();
            if warm {
                reader.newest(&tenant()).await.unwrap();
                shop.commit(5).await;
                shop.pass(MINUTE_MS);
            }
            let mut gate = store.hold_nth(at);
            let search = {
                let reader = reader.clone();
                tokio::spawn(async move { reader.newest(&tenant()).await })
            };
            let stood = tokio::select! {
                () = gate.arrived() => true,
                () = finished(&search) => false,
            };
            if stood {
                shop.commit(10).await;
                shop.collect().await;
            }
            gate.open();
            let found = search.await.unwrap().unwrap();
            let newest = shop.writer.refresh(&tenant()).await.unwrap().version();
            // What it saw before it stood still may be what it answers, when it
            // had found all by then; not for longer than a version is fresh.
            if found.version() != newest {
                assert!(stood, "{at}: version {} of {newest}", found.version());
                let again = reader.newest(&tenant()).await.unwrap();
                assert_eq!(again.version(), newest, "request {at}, warm {warm}");
            }
            let again = reader.refresh(&tenant()).await.unwrap();
            assert_eq!(again.version(), newest, "request {at}, warm {warm}");
            assert!(shop.is_right(&again).await, "request {at}, warm {warm}");
        }
    }
}

async fn finished<T>(task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dead_pin_says_so_and_a_new_one_is_right() {
    let mut shop = Shop::open().await;
    shop.commit(10).await;
    let (reader, _) = shop.reader();
    let pin = reader.pin(&tenant()).await.unwrap();
    let before = shop.live.clone();
    let held = pin.snapshot().unwrap().clone();
    shop.pass(14 * MINUTE_MS);
    shop.commit(3).await;
    gc::collect(&shop.writer, &tenant()).await.unwrap();
    // Within its time it reads what it pinned, also what it reads first now.
    let all = pin.snapshot().unwrap().all_blocks().await.unwrap();
    assert_eq!(all.into_iter().map(|b| b.id).collect::<BTreeSet<_>>(), before);
    shop.pass(2 * MINUTE_MS);
    let gone = |error: CatalogError| assert!(error.is_version_gone(), "{error}");
    gone(pin.snapshot().unwrap_err());
    shop.collect().await;
    gone(pin.snapshot().unwrap_err());
    // Without the pin's warning: the files say it.
    let (cold, _) = shop.reader();
    gone(cold.at(&tenant(), held.version()).await.unwrap_err());
    for reader in [&reader, &cold] {
        let anew = reader.pin(&tenant()).await.unwrap();
        assert!(anew.version() > held.version());
        assert!(shop.is_right(anew.snapshot().unwrap()).await);
    }
}

/// A reader that falls asleep while it pins must not hold for 15 minutes what
/// was the newest version two hours ago.
#[tokio::test]
async fn a_pin_counts_from_before_its_version_was_looked_for() {
    for at in 1..=6 {
        let mut shop = Shop::open().await;
        shop.commit(10).await;
        let (reader, store) = shop.reader();
        let mut gate = store.hold_nth(at);
        let task = {
            let reader = reader.clone();
            tokio::spawn(async move { reader.pin(&tenant()).await })
        };
        let stood = tokio::select! {
            () = gate.arrived() => true,
            () = finished(&task) => false,
        };
        if stood {
            shop.collect().await;
        }
        gate.open();
        let pin = task.await.unwrap().unwrap();
        match pin.snapshot() {
            Ok(snapshot) => assert!(shop.is_right(snapshot).await, "request {at}"),
            Err(error) => assert!(stood && error.is_version_gone(), "request {at}: {error}"),
        }
        let anew = reader.pin(&tenant()).await.unwrap();
        assert!(shop.is_right(anew.snapshot().unwrap()).await, "request {at}");
    }
}

/// A snapshot whose leaves are read for the first time after they are gone.
#[tokio::test]
async fn leaves_that_are_gone_are_a_typed_error() {
    let mut shop = Shop::open().await;
    shop.commit(10).await;
    let (reader, store) = shop.reader();
    let snapshot = reader.newest(&tenant()).await.unwrap();
    let mut gate = store.hold_call("get team-a/catalog/leaf/");
    let read = tokio::spawn(async move { snapshot.all_blocks().await });
    gate.arrived().await;
    shop.commit(10).await;
    shop.collect().await;
    gate.open();
    let error = read.await.unwrap().unwrap_err();
    assert!(error.is_version_gone(), "{error}");
    let anew = reader.pin(&tenant()).await.unwrap();
    assert!(shop.is_right(anew.snapshot().unwrap()).await);
}
