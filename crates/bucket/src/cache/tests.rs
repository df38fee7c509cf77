//! The file cache against its bucket: what is fetched, how often, and what
//! stays right across restarts.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use varve_block::{BlockEntry, BlockFiles};
use varve_model::TenantId;
use varve_testkit::FaultyStore;

use super::*;
use crate::{BucketConfig, Metrics};

const PAGE: u64 = 4096;
const SIZE: u64 = 10 * PAGE + 123;

struct Rig {
    store: FaultyStore,
    bucket: Bucket,
    bytes: Vec<u8>,
    entry: BlockEntry,
}

fn tenant() -> TenantId {
    TenantId::anonymous()
}

/// An entry of a block with one file `f`.
fn entry() -> BlockEntry {
    let json = r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","range":{"start":0,"end":7200000},
        "min_time":1,"max_time":2,"min_hash":0,"max_hash":9,"level":0,"resolution":0,
        "sources":[],"term":0,"index":0,"partition":0,"cut":0,"created_ms":0,"series":0,
        "samples":0,"min_name":"","max_name":"",
        "files":{"f":{"size":41083,"footer_len":0,"footer_crc32c":0}}}"#;
    serde_json::from_str(json).unwrap()
}

async fn rig() -> Rig {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let config = BucketConfig { max_retries: 0, ..BucketConfig::default() };
    let bucket = Bucket::from_store(Arc::new(store.clone()), &config, Metrics::default());
    let bytes: Vec<u8> = (0..SIZE).map(|n| (n * 7 % 251) as u8).collect();
    let entry = entry();
    let path = paths::block_file(&tenant(), entry.id, "f");
    store.put(path.inner(), bytes.clone().into()).await.unwrap();
    store.take_log();
    Rig { store, bucket, bytes, entry }
}

async fn cache(bucket: &Bucket, config: CacheConfig) -> FileCache {
    FileCache::open(bucket.clone(), config).await.unwrap()
}

fn small() -> CacheConfig {
    CacheConfig { page_bytes: PAGE, fetch_bytes: 4 * PAGE, ..CacheConfig::default() }
}

#[tokio::test]
async fn neighbouring_pages_come_in_one_request() {
    let rig = rig().await;
    let files = cache(&rig.bucket, small()).await.files(&tenant(), &rig.entry);
    let read = async |range: Range<u64>| {
        let got = files.read("f", range.clone()).await.unwrap();
        assert_eq!(got, rig.bytes[range.start as usize..range.end as usize], "{range:?}");
        rig.store.take_log().len()
    };
    assert_eq!(read(5000..5010).await, 1);
    assert_eq!(read(4096..8192).await, 0);
    // Pages 0, 2 and 3 are missing around page 1.
    assert_eq!(read(0..4 * PAGE).await, 2);
    // Seven pages, four to a request.
    assert_eq!(read(4 * PAGE..SIZE).await, 2);
    assert_eq!(read(0..SIZE).await, 0);
    assert_eq!(read(SIZE..SIZE).await, 0);
    assert!(rig.bucket.metrics().cache_fetched_bytes.get() == SIZE);
}

#[tokio::test]
async fn readers_of_a_page_wait_for_one_fetch() {
    let rig = rig().await;
    let files = cache(&rig.bucket, small()).await.files(&tenant(), &rig.entry);
    rig.store.delay(Duration::from_millis(20));
    let first = tokio::spawn({
        let files = files.clone();
        async move { files.read("f", 0..SIZE).await }
    });
    tokio::task::yield_now().await;
    let others = (0..20u64).map(|n| {
        let files = files.clone();
        async move { files.read("f", n * 1000..n * 1000 + 5000).await.unwrap() }
    });
    let (_, got) = tokio::join!(
        async {
            // The one that asked first goes away.
            tokio::task::yield_now().await;
            first.abort();
        },
        futures::future::join_all(others)
    );
    for (n, bytes) in got.iter().enumerate() {
        assert_eq!(bytes, &rig.bytes[n * 1000..n * 1000 + 5000]);
    }
    assert_eq!(rig.store.take_log().len(), 3);
}

#[tokio::test]
async fn failures_are_told_and_not_kept() {
    let rig = rig().await;
    let files = cache(&rig.bucket, small()).await.files(&tenant(), &rig.entry);
    rig.store.outage(true);
    let error = files.read("f", 0..10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    rig.store.outage(false);
    assert_eq!(files.read("f", 0..10).await.unwrap(), rig.bytes[..10]);
    let check = async |file: &str, range: Range<u64>, kind: ErrorKind| {
        assert_eq!(files.read(file, range).await.unwrap_err().kind(), kind);
    };
    check("g", 0..1, ErrorKind::NotFound).await;
    check("f", 0..SIZE + 1, ErrorKind::Corrupt).await;
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    check("f", 9..3, ErrorKind::Corrupt).await;
    // The object is shorter than its entry says.
    let path = paths::block_file(&tenant(), rig.entry.id, "f");
    rig.store.put(path.inner(), vec![0; 100].into()).await.unwrap();
    check("f", 5 * PAGE..5 * PAGE + 1, ErrorKind::Unavailable).await;
    check("f", SIZE - 1..SIZE, ErrorKind::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_survive_a_restart_on_disk() {
    let rig = rig().await;
    let dir = tempfile::tempdir().unwrap();
    let config = CacheConfig {
        memory_bytes: 1 << 20,
        disk_dir: Some(dir.path().join("a/b")),
        disk_bytes: 64 << 20,
        ..small()
    };
    let first = cache(&rig.bucket, config.clone()).await;
    first.files(&tenant(), &rig.entry).read("f", 0..SIZE).await.unwrap();
    first.close().await;
    drop(first);
    rig.store.outage(true);
    let second = cache(&rig.bucket, config).await;
    let got = second.files(&tenant(), &rig.entry).read("f", 0..SIZE).await.unwrap();
    assert_eq!(got, rig.bytes);
    assert!(rig.bucket.metrics().cache_pages.with_label_values(&["disk"]).get() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_reads_give_the_bytes(
        reads in prop::collection::vec((0..=SIZE, 0..=SIZE), 1..20),
        fetch in 1..6u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = rig().await;
            // So little memory that pages come and go.
            let config = CacheConfig {
                memory_bytes: 40_000,
                fetch_bytes: fetch * PAGE,
                ..small()
            };
            let files = cache(&rig.bucket, config).await.files(&tenant(), &rig.entry);
            let all = reads.iter().map(|(a, b)| {
                let (files, range) = (files.clone(), *a.min(b)..*a.max(b));
                async move { (range.clone(), files.read("f", range).await.unwrap()) }
            });
            for (range, got) in futures::future::join_all(all).await {
                assert_eq!(got, rig.bytes[range.start as usize..range.end as usize]);
            }
        });
    }
}
