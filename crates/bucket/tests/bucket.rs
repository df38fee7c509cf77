//! What the bucket does when its store misbehaves, and what it counts.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use prometheus::Registry;
use varve_bucket::{Bucket, BucketConfig, Metrics, ObjectPath, PutOutcome};
use varve_model::ErrorKind;
use varve_testkit::FaultyStore;

struct Rig {
    store: FaultyStore,
    bucket: Bucket,
    registry: Registry,
}

fn rig(max_retries: u32, timeout_seconds: u64) -> Rig {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let registry = Registry::new();
    let config = BucketConfig {
        max_retries,
        timeout_seconds,
        retry_pause_ms: 1,
        retry_max_pause_ms: 2,
        part_bytes: 5 << 20,
        ..BucketConfig::default()
    };
    let metrics = Metrics::new(&registry);
    let bucket = Bucket::from_store(Arc::new(store.clone()), &config, metrics);
    Rig { store, bucket, registry }
}

impl Rig {
    /// The value of a counter whose labels hold all of `labels`.
    fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let families = self.registry.gather();
        let of_name = families.iter().filter(|f| f.name() == name);
        let metrics = of_name.flat_map(|f| f.get_metric());
        let chosen = metrics
            .filter(|m| labels.iter().all(|l| m.get_label().iter().any(|p| p.value() == *l)));
        chosen
            .map(|m| m.get_counter().get_value() as u64 + m.get_histogram().get_sample_count())
            .sum()
    }
}

fn path(name: &str) -> ObjectPath {
    ObjectPath::from_parts(["folder", name])
}

#[tokio::test]
async fn passing_failures_are_tried_again_and_counted() {
    let rig = rig(3, 30);
    rig.store.fail_every(2);
    for n in 0..10 {
        let p = path(&n.to_string());
        rig.bucket.put(&p, Bytes::from(vec![b'x'; 100])).await.unwrap();
        assert_eq!(rig.bucket.get_range(&p, 10..30).await.unwrap().len(), 20);
    }
    let count = |name: &str, labels: &[&str]| rig.count(name, labels);
    assert_eq!(count("varve_bucket_operations_total", &["put"]), 10);
    assert_eq!(count("varve_bucket_operation_seconds", &["put"]), 10);
    assert_eq!(count("varve_bucket_bytes_total", &["put"]), 1000);
    assert_eq!(count("varve_bucket_bytes_total", &["get_range"]), 200);
    assert_eq!(count("varve_bucket_operation_errors_total", &[]), 0);
    assert_eq!(count("varve_bucket_operation_retries_total", &[]), 19);

    rig.store.outage(true);
    let error = rig.bucket.get(&path("0"), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("4 attempts"), "{error}");
    assert_eq!(count("varve_bucket_operation_errors_total", &["get", "unavailable"]), 1);
    rig.store.outage(false);
    rig.store.fail_every(0);
    // What is certain is not tried again.
    rig.store.take_log();
    assert!(rig.bucket.get(&path("none"), 100).await.unwrap_err().is_not_found());
    assert_eq!(rig.store.take_log().len(), 1);
    assert_eq!(count("varve_bucket_operation_errors_total", &["get", "not_found"]), 1);
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let rig = rig(1, 1);
    rig.store.delay(Duration::from_secs(60));
    let error = rig.bucket.head(&path("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("within 1 s, 2 attempts"), "{error}");
}

#[tokio::test]
async fn a_creation_whose_answer_got_lost_is_recognized() {
    let rig = rig(3, 30);
    // The first put happens and fails; its repetition finds an object.
    rig.store.lose_every(2);
    rig.bucket.put(&path("even"), Bytes::new()).await.unwrap();
    let outcome = rig.bucket.put_if_absent(&path("mine"), "mine".into()).await.unwrap();
    assert_eq!(outcome, PutOutcome::Created);
    // The same when somebody else's object is there.
    for content in ["longer than mine", "mime", ""] {
        rig.store.lose_every(0);
        let p = path(&format!("theirs-{content}"));
        rig.bucket.put(&p, content.into()).await.unwrap();
        rig.store.lose_every(1);
        rig.store.fail_every(1);
        let store = rig.store.clone();
        let heal = tokio::spawn(async move {
            while store.take_log().is_empty() {
                tokio::task::yield_now().await;
            }
            store.fail_every(0);
            store.lose_every(0);
        });
        let outcome = rig.bucket.put_if_absent(&p, "mine".into()).await.unwrap();
        assert_eq!(outcome, PutOutcome::Exists, "{content:?}");
        heal.await.unwrap();
    }
    // Without any answer the outcome is unknown, and the error says so.
    rig.store.lose_every(1);
    rig.store.outage(true);
    let error = rig.bucket.put_if_absent(&path("unknown"), "mine".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn deletes_and_uploads_are_repeated_whole() {
    let rig = rig(5, 30);
    rig.bucket.put(&path("x"), "x".into()).await.unwrap();
    rig.store.lose_every(2);
    // It happens, fails, and finds nothing the second time.
    rig.bucket.delete(&path("x")).await.unwrap();
    assert!(rig.bucket.head(&path("x")).await.unwrap_err().is_not_found());
    rig.store.lose_every(0);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let bytes: Vec<u8> = (0..12 << 20).map(|n| (n % 253) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    rig.store.take_log();
    rig.store.fail_every(2);
    rig.bucket.put(&path("odd"), Bytes::new()).await.unwrap();
    assert_eq!(rig.bucket.put_file(&path("f"), &file).await.unwrap(), bytes.len() as u64);
    rig.store.fail_every(0);
    assert!(rig.store.take_log().iter().filter(|l| l.starts_with("upload")).count() >= 1);
    assert!(rig.bucket.get(&path("f"), 20 << 20).await.unwrap() == bytes);
}
