//! A catalog made anew from its blocks equals the one that was lost.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{HOUR_MS, catalog, clock, cut, meta, new_id, over, shipment, tenant, upload};
use futures::TryStreamExt;
use object_store::memory::InMemory;
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

#[tokio::test]
async fn a_rebuilt_catalog_equals_the_lost_one() {
    let losses: [(&str, Loss); 5] = [
        ("nothing", |_| false),
        ("everything", |_| true),
        ("leaves", |p| p.contains("/leaf/")),
        ("manifests", |p| p.ends_with(".json") && !p.contains("/leaf/") && !p.contains("hint")),
        ("all but the floor", |p| !p.contains("/floor/")),
    ];
    for (name, loss) in losses {
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
