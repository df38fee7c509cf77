//! One contract, held against every store: memory, a local folder, S3 (moto),
//! Azure (azurite) and GCS (a fake). Then the catalog with 24 writers at once.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use common::stores::Shared;
use common::{catalog, clock, cut, listed, shipment, tenant};
use futures::TryStreamExt;
use varve_bucket::{Bucket, BucketError, Committed, ObjectPath, PutOutcome, paths};
use varve_model::ErrorKind;
use varve_runtime::SystemClock;

fn path(parts: &[&str]) -> ObjectPath {
    ObjectPath::from_parts(parts.iter().copied())
}

fn open(url: &str, options: &[(&str, String)]) -> Bucket {
    common::stores::open(url, options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
}

/// Everything that the rest of Varve relies upon.
async fn contract(bucket: &Bucket) {
    objects(bucket).await;
    ranges(bucket).await;
    creation(bucket).await;
    listing(bucket).await;
    files(bucket).await;
}

async fn objects(bucket: &Bucket) {
    let a = path(&["objects", "a b", "%41*'(x)!.json"]);
    let missing = bucket.get(&a, 100).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    assert!(bucket.head(&a).await.unwrap_err().is_not_found());
    assert!(bucket.get_range(&a, 0..1).await.unwrap_err().is_not_found());
    bucket.put(&a, Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(bucket.get(&a, 100).await.unwrap(), "one");
    bucket.put(&a, Bytes::from_static(b"three")).await.unwrap();
    assert_eq!(bucket.get(&a, 5).await.unwrap(), "three");
    let large = bucket.get(&a, 4).await.unwrap_err();
    assert!(matches!(large, BucketError::TooLarge { size: 5, limit: 4, .. }), "{large}");
    let info = bucket.head(&a).await.unwrap();
    assert_eq!((info.size, &info.path), (5, &a));
    assert!(info.modified_ms > 1_600_000_000_000, "{}", info.modified_ms);
    bucket.put(&a, Bytes::new()).await.unwrap();
    assert_eq!(bucket.get(&a, 0).await.unwrap(), "");
    bucket.delete(&a).await.unwrap();
    assert!(bucket.head(&a).await.unwrap_err().is_not_found());
    bucket.delete(&a).await.unwrap();
}

async fn ranges(bucket: &Bucket) {
    let p = path(&["ranges", "r"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bucket.put(&p, bytes.clone().into()).await.unwrap();
    for range in [0..1, 0..100_000, 99_999..100_000, 77..77, 12_345..67_890] {
        let want = &bytes[range.start as usize..range.end as usize];
        assert_eq!(bucket.get_range(&p, range.clone()).await.unwrap(), want, "{range:?}");
    }
    for range in [99_990..100_001, 100_000..100_001, 200_000..200_010] {
        bucket.get_range(&p, range).await.unwrap_err();
    }
}

async fn creation(bucket: &Bucket) {
    let p = path(&["creation", "c"]);
    assert_eq!(bucket.put_if_absent(&p, "one".into()).await.unwrap(), PutOutcome::Created);
    for again in ["two", "one"] {
        let outcome = bucket.put_if_absent(&p, again.into()).await.unwrap();
        assert_eq!(outcome, PutOutcome::Exists, "{again}");
    }
    assert_eq!(bucket.get(&p, 100).await.unwrap(), "one");
    bucket.delete(&p).await.unwrap();
    assert_eq!(bucket.put_if_absent(&p, "two".into()).await.unwrap(), PutOutcome::Created);
    for round in 0..10 {
        let p = path(&["creation", "race", &round.to_string()]);
        let racers = (0..16).map(|n| {
            let (bucket, p) = (bucket.clone(), p.clone());
            tokio::spawn(async move {
                let bytes = Bytes::from(format!("racer {n}"));
                let outcome = bucket.put_if_absent(&p, bytes.clone()).await.unwrap();
                (outcome == PutOutcome::Created).then_some(bytes)
            })
        });
        let all = futures::future::join_all(racers).await;
        let winners: Vec<Bytes> = all.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(bucket.get(&p, 100).await.unwrap(), winners[0]);
    }
}

async fn listing(bucket: &Bucket) {
    let folder = path(&["listing"]);
    assert!(bucket.list_folder(&folder).await.unwrap().objects.is_empty());
    let names: BTreeSet<String> = (0..120).map(|n| format!("{n:03}")).collect();
    for name in &names {
        let parent = if name.ends_with('7') { folder.join("sub-*") } else { folder.clone() };
        bucket.put(&parent.join(name), Bytes::from_static(b"x")).await.unwrap();
    }
    bucket.put(&path(&["listing2", "x"]), Bytes::new()).await.unwrap();
    let all: Vec<_> = bucket.list(&folder).try_collect().await.unwrap();
    let found: BTreeSet<String> = all.iter().map(|o| o.path.file_name().to_owned()).collect();
    assert_eq!((all.len(), found), (120, names));
    let one = bucket.list_folder(&folder).await.unwrap();
    assert_eq!(one.objects.len(), 108);
    assert_eq!(one.folders.len(), 1);
    let sub: Vec<_> = bucket.list(&path(&["listing", "sub-*"])).try_collect().await.unwrap();
    assert_eq!(sub.len(), 12);
    bucket.delete(&sub[0].path).await.unwrap();
    assert!(bucket.head(&sub[0].path).await.unwrap_err().is_not_found());
}

async fn files(bucket: &Bucket) {
    let dir = tempfile::tempdir().unwrap();
    for size in [0usize, 1000, 11 << 20] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let local = dir.path().join("file");
        std::fs::write(&local, &bytes).unwrap();
        let p = path(&["files", &size.to_string()]);
        assert_eq!(bucket.put_file(&p, &local).await.unwrap(), size as u64);
        assert_eq!(bucket.head(&p).await.unwrap().size, size as u64);
        assert!(bucket.get(&p, size as u64).await.unwrap() == bytes, "{size}");
    }
    let none = bucket.put_file(&path(&["files", "none"]), &dir.path().join("none")).await;
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// 24 catalogs (24 processes) commit at the same time, twice each, and repeat
/// one commit: every change is in exactly one version, none is lost.
async fn contention(bucket: &Bucket) {
    let manual = clock();
    let writers = (0..24u32).map(|n| {
        let (bucket, manual) = (bucket.clone(), manual.clone());
        tokio::spawn(async move {
            let own = catalog(&bucket, &manual);
            let mut done = Vec::new();
            for round in 0..2 {
                let change = shipment(&bucket, &manual, cut(n, i64::from(n % 3), round)).await;
                let id = change.add[0].id;
                let first = own.commit(&tenant(), change.clone()).await.unwrap();
                assert!(matches!(first, Committed::Now { .. }), "{first:?}");
                let second = own.commit(&tenant(), change).await.unwrap();
                assert!(matches!(second, Committed::Already { .. }), "{second:?}");
                assert!(second.version() >= first.version());
                done.push((first.version(), id));
            }
            done
        })
    });
    let all = futures::future::join_all(writers).await;
    let done: Vec<_> = all.into_iter().flat_map(Result::unwrap).collect();
    let mut ids: Vec<_> = done.iter().map(|(_, id)| *id).collect();
    ids.sort();
    assert_eq!(listed(bucket, &manual).await, ids);
    let versions: BTreeSet<u64> = done.iter().map(|(v, _)| *v).collect();
    assert_eq!(versions, (1..=48).collect(), "each commit made a version of its own");
    // Each version has what was committed up to it, and nothing of later ones.
    let reader = catalog(bucket, &manual);
    for (version, id) in done {
        let has = |blocks: Vec<varve_block::BlockEntry>| blocks.iter().any(|b| b.id == id);
        let at = reader.at(&tenant(), version).await.unwrap();
        assert!(has(at.all_blocks().await.unwrap()));
        let before = reader.at(&tenant(), version - 1).await.unwrap();
        assert!(!has(before.all_blocks().await.unwrap()));
    }
    assert!(reader.tenants().await.unwrap().contains(&tenant()));
}

async fn all(bucket: Bucket) {
    contract(&bucket).await;
    contention(&bucket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    all(open("memory://backends", &[])).await;
    // The same name is the same bucket, within the process.
    let again = open("memory://backends", &[]);
    assert!(again.head(&paths::manifest(&tenant(), 1)).await.is_ok());
    let other = open("memory://other", &[]);
    assert!(other.head(&paths::manifest(&tenant(), 1)).await.is_err());
    // A prefix is a folder of it.
    let inside = open("memory://backends/team-a/catalog", &[]);
    let manifest = path(&["00000000000000000001.json"]);
    assert!(inside.head(&manifest).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_folder() {
    let store = Shared::local();
    all(store.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3() {
    let Some(store) = Shared::s3() else { return };
    all(store.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure() {
    let Some(store) = Shared::azure() else { return };
    all(store.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcs() {
    let store = Shared::gcs().await;
    all(store.open()).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let options = [
        ("aws_endpoint", "http://127.0.0.1:9".to_owned()),
        ("aws_region", "us-east-1".to_owned()),
        ("aws_access_key_id", "test".to_owned()),
        ("aws_secret_access_key", "test".to_owned()),
        ("allow_http", "true".to_owned()),
    ];
    let bucket = open("s3://testbucket", &options);
    let error = bucket.put(&path(&["x"]), Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let catalog = varve_bucket::Catalog::open(
        bucket,
        Arc::new(SystemClock),
        varve_bucket::CatalogConfig::default(),
    );
    let error = catalog.unwrap().newest(&tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
