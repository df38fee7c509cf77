//! A catalog made anew from its blocks equals the one that was lost.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::world::{SKEW_MS, Step, World, step};
use common::{HOUR_MS, catalog, clock, cut, meta, new_id, over, shipment, tenant, upload};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use varve_block::BlockEntry;
use varve_bucket::catalog::rebuild::rebuild_catalog;
use varve_bucket::catalog::{Cause, gc};
use varve_bucket::{Bucket, Catalog, Change, Committed, paths};
use varve_runtime::Clock;

async fn all_blocks(catalog: &Catalog) -> Vec<BlockEntry> {
    catalog.refresh(&tenant()).await.unwrap().all_blocks().await.unwrap()
}

/// Which objects of a catalog get lost.
type Loss = fn(&str) -> bool;

async fn lose(bucket: &Bucket, what: impl Fn(&str) -> bool) {
    let folder = paths::catalog(&tenant());
    let all: Vec<_> = bucket.list(&folder).try_collect().await.unwrap();
    for object in all.into_iter().filter(|o| what(o.path.as_str())) {
        bucket.delete(&object.path).await.unwrap();
    }
}

const LOSSES: [(&str, Loss); 5] = [
    ("nothing", |_| false),
    ("everything", |_| true),
    ("leaves", |p| p.contains("/leaf/")),
    ("manifests", |p| p.ends_with(".json") && !p.contains("/leaf/") && !p.contains("hint")),
    ("all but the floor", |p| !p.contains("/floor/")),
];

#[tokio::test]
async fn a_rebuilt_catalog_equals_the_lost_one() {
    for (name, loss) in LOSSES {
        let bucket = over(Arc::new(InMemory::new()));
        let clock = clock();
        let before = catalog(&bucket, &clock);
        for number in 0..12 {
            let key = cut(number % 3, i64::from(number) / 4, u64::from(number));
            let change = shipment(&bucket, &clock, key).await;
            before.commit(&tenant(), change).await.unwrap();
        }
        clock.advance(Duration::from_millis(2 * HOUR_MS as u64));
        assert_eq!(gc::collect(&before, &tenant()).await.unwrap().floor, 10);
        // Two are merged; the sources stay in the bucket for the grace period.
        let blocks = all_blocks(&before).await;
        let mut merged = meta(new_id(clock.now_ms()), cut(0, 0, 0));
        merged.level = 1;
        merged.sources = vec![blocks[10].id, blocks[11].id];
        let merged = upload(&bucket, &merged).await;
        let change = Change::replace(Cause::Merge, vec![merged], &blocks[10..]);
        before.commit(&tenant(), change).await.unwrap();
        // Half a block, and a folder that is none.
        let half = meta(new_id(clock.now_ms()), cut(8, 8, 0));
        let half = upload(&bucket, &half).await;
        let gone = paths::block_file(&tenant(), half.id, "series.parquet");
        bucket.delete(&gone).await.unwrap();
        let stray = paths::blocks(&tenant()).join("stray").join("x");
        bucket.put(&stray, "x".into()).await.unwrap();

        let original = all_blocks(&before).await;
        let version = before.refresh(&tenant()).await.unwrap().version();
        lose(&bucket, loss).await;
        let after = catalog(&bucket, &clock);
        let rebuilt = rebuild_catalog(&after, &tenant()).await.unwrap();
        assert_eq!(rebuilt.blocks, 11, "{name}");
        assert_eq!(rebuilt.replaced.len(), 2, "{name}");
        let mut skipped = rebuilt.skipped.clone();
        skipped.sort();
        assert_eq!(skipped.len(), 2, "{name}: {skipped:?}");
        assert!(skipped[0].1.contains("series.parquet is missing"), "{name}: {skipped:?}");
        assert_eq!(skipped[1].0, "stray", "{name}");
        if name != "everything" && name != "all but the floor" {
            assert_eq!(rebuilt.version, version + 1, "{name}");
        }
        assert_eq!(all_blocks(&after).await, original, "{name}");
        // Work goes on: cuts are remembered, new ones are committed.
        let again = shipment(&bucket, &clock, cut(0, 0, 0)).await;
        let committed = after.commit(&tenant(), again).await.unwrap();
        assert!(matches!(committed, Committed::Already { .. }), "{name}: {committed:?}");
        let next = shipment(&bucket, &clock, cut(0, 0, 77)).await;
        let committed = catalog(&bucket, &clock).commit(&tenant(), next).await.unwrap();
        assert_eq!(committed, Committed::Now { version: rebuilt.version + 1 }, "{name}");
    }
}

/// Histories tried; an unoptimised build is a tenth as fast.
const HISTORIES: u32 = if cfg!(debug_assertions) { 100 } else { 1000 };

/// Whatever happened, and whoever stopped in its middle: the rebuilt catalog
/// holds the same cuts, each once. Besides, it may hold cuts that had been
/// uploaded and not committed yet, and such whose removal nobody was told of.
async fn history(steps: &[Step], (name, loss): (&str, Loss)) {
    let mut world = World::new(SKEW_MS);
    for step in steps {
        world.run(*step).await;
    }
    world.end().await;
    world.check().await;
    let before = world.held(world.live.keys().copied());
    let (uncommitted, hushed) = (world.uncommitted(), world.hushed.clone());
    lose(&world.bucket, loss).await;
    let rebuilt = rebuild_catalog(&world.fresh(), &tenant()).await.unwrap();
    world.begin_anew().await;
    assert_eq!(world.live.len() as u64, rebuilt.blocks);
    let after = world.held(world.live.keys().copied());
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "{name}: lost {lost:?}, {rebuilt:?}");
    let risen = after.difference(&before);
    let risen: Vec<_> =
        risen.filter(|cut| !uncommitted.contains(cut) && !hushed.contains(cut)).collect();
    assert!(risen.is_empty(), "{name}: risen {risen:?}, {rebuilt:?}");
    // Work goes on, and what is listed now is safe from collections.
    for _ in 0..2 {
        for step in [Step::Build(0), Step::Ship(1), Step::Pass(2 * HOUR_MS), Step::Collect(2)] {
            world.run(step).await;
            world.check().await;
        }
    }
    world.finish().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES))]
    #[test]
    fn a_rebuilt_catalog_answers_as_before(
        steps in prop::collection::vec(step(), 1..40),
        loss in 0..LOSSES.len(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(history(&steps, LOSSES[loss]));
    }
}
