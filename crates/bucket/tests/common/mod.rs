//! What the bucket's tests share: small blocks whose files are in the bucket.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod process;
pub mod stores;
pub mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::ObjectStore;
use ulid::Ulid;
use varve_block::{BLOCK_JSON, BLOCK_VERSION, BlockCounts, BlockEntry, BlockMeta, FileMeta};
use varve_bucket::{Bucket, BucketConfig, Catalog, CatalogConfig, Change, CutKey, Metrics, paths};
use varve_model::{TenantId, TimeRange, WINDOW_MS};
use varve_runtime::{Clock, ManualClock};

pub const HOUR_MS: i64 = 3_600_000;
pub const MINUTE_MS: i64 = 60_000;
/// Where manual clocks begin: a window's end.
pub const START_MS: i64 = 222_222 * WINDOW_MS;

pub fn tenant() -> TenantId {
    TenantId::new("team-a").unwrap()
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START_MS))
}

/// Patient enough for a slow machine, with hardly any pause.
pub fn bucket_config() -> BucketConfig {
    BucketConfig { retry_pause_ms: 1, retry_max_pause_ms: 5, ..BucketConfig::default() }
}

pub fn over(store: Arc<dyn ObjectStore>) -> Bucket {
    Bucket::from_store(store, &bucket_config(), Metrics::default())
}

pub fn catalog(bucket: &Bucket, clock: &Arc<ManualClock>) -> Catalog {
    Catalog::open(bucket.clone(), clock.clone(), CatalogConfig::default()).unwrap()
}

/// An id as a builder makes it at `now_ms`.
pub fn new_id(now_ms: i64) -> Ulid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ulid::from_parts(now_ms as u64, u128::from(next))
}

/// The description of a block with two tiny files.
pub fn meta(id: Ulid, cut: CutKey) -> BlockMeta {
    let file = |size| FileMeta { size, crc32c: 0, footer_len: 4, footer_crc32c: 0 };
    BlockMeta {
        version: BLOCK_VERSION,
        id,
        tenant: tenant().to_string(),
        range: TimeRange::window(cut.window_end),
        min_hash: 0,
        max_hash: u64::MAX,
        level: 0,
        resolution: 0,
        sources: Vec::new(),
        term: 1,
        index: cut.cut + 1,
        partition: cut.partition,
        cut: cut.cut,
        created_ms: START_MS,
        counts: BlockCounts { series: 1, samples: 2, ..BlockCounts::default() },
        min_time: cut.window_end - 1,
        max_time: cut.window_end,
        min_name: "a".to_owned(),
        max_name: "b".to_owned(),
        files: BTreeMap::from([
            ("samples.parquet".to_owned(), file(11)),
            ("series.parquet".to_owned(), file(7)),
        ]),
    }
}

/// Puts the files of a block into the bucket, `block.json` last.
pub async fn upload(bucket: &Bucket, meta: &BlockMeta) -> BlockEntry {
    for (name, file) in &meta.files {
        let path = paths::block_file(&tenant(), meta.id, name);
        let bytes = Bytes::from(vec![b'x'; file.size as usize]);
        bucket.put(&path, bytes).await.unwrap();
    }
    let path = paths::block_file(&tenant(), meta.id, BLOCK_JSON);
    bucket.put(&path, meta.to_json().unwrap().into()).await.unwrap();
    BlockEntry::new(meta)
}

pub fn cut(partition: u32, window: i64, cut: u64) -> CutKey {
    CutKey { partition, window_end: START_MS - window * WINDOW_MS, cut }
}

/// Uploads a new block of a cut and returns the change that commits it.
pub async fn shipment(bucket: &Bucket, clock: &ManualClock, cut: CutKey) -> Change {
    let entry = upload(bucket, &meta(new_id(clock.now_ms()), cut)).await;
    Change::ship(cut, vec![entry])
}

/// The ids of every block in the newest version, read without any memory.
pub async fn listed(bucket: &Bucket, clock: &Arc<ManualClock>) -> Vec<Ulid> {
    let fresh = catalog(bucket, clock);
    let snapshot = fresh.refresh(&tenant()).await.unwrap();
    let mut ids: Vec<Ulid> =
        snapshot.all_blocks().await.unwrap().into_iter().map(|b| b.id).collect();
    ids.sort();
    ids
}
