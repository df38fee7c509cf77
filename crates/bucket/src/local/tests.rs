//! The store on a disk that crashes: what was written stays, what was read
//! stays, and what an upload left goes.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use varve_log::{Crash, Disk, RealDisk, SimDisk};

use super::LocalStore;
use super::scratch::SCRATCH;

const ROOT: &str = "/data/bucket";

fn open(disk: &SimDisk) -> LocalStore {
    LocalStore::open(Arc::new(disk.clone()), FilePath::new(ROOT)).unwrap()
}

fn path(path: &str) -> Path {
    Path::parse(path).unwrap()
}

async fn read(store: &LocalStore, path: &Path) -> Option<Vec<u8>> {
    match store.get(path).await {
        Ok(got) => Some(got.bytes().await.unwrap().to_vec()),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn names(store: &LocalStore) -> Vec<String> {
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    all.into_iter().map(|meta| meta.location.to_string()).collect()
}

/// What may be done to one object.
#[derive(Clone, Copy, Debug)]
enum Write {
    Put,
    Create,
    Parts,
}

async fn write(store: &LocalStore, path: &Path, how: Write, byte: u8) -> object_store::Result<()> {
    let payload = PutPayload::from(vec![byte; 50]);
    match how {
        Write::Put => store.put(path, payload).await.map(drop),
        Write::Create => store.put_opts(path, payload, PutMode::Create.into()).await.map(drop),
        Write::Parts => {
            let upload = store.put_multipart(path).await?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, 20);
            parts.write(&[byte; 50]);
            parts.finish().await.map(drop)
        }
    }
}

/// A crash at every change in turn, of the process or of the machine, then
/// another process, and another crash: an object is whole or not there, what
/// was acknowledged stays, and so does what a process has read.
#[tokio::test]
async fn what_was_written_or_read_stays() {
    for how in [Write::Put, Write::Create, Write::Parts] {
        for at in 1..40 {
            for seed in 0..12 {
                let disk = SimDisk::new(seed);
                let p = path("tenant/deep/object");
                let store = open(&disk);
                disk.crash_at(at, if seed % 3 == 0 { Crash::Power } else { Crash::Process });
                let written = write(&store, &p, how, 1).await.is_ok();
                drop(store);
                disk.crash(Crash::Process);
                let disk = disk.reboot();
                let found = read(&open(&disk), &p).await;
                let case = format!("{how:?} {at} {seed}");
                assert!(found.is_some() || !written, "{case}: lost after a process");
                disk.crash(Crash::Power);
                let disk = disk.reboot();
                let store = open(&disk);
                let after = read(&store, &p).await;
                assert_eq!(after.is_some(), found.is_some(), "{case}: what was read is gone");
                if let Some(bytes) = &after {
                    assert_eq!(bytes, &[1; 50], "{case}");
                }
                assert_eq!(names(&store).await.len(), usize::from(after.is_some()), "{case}");
                assert_eq!(disk.list(&FilePath::new(ROOT).join(SCRATCH)).unwrap().len(), 0);
            }
        }
    }
}

/// Who is told that an object is there may rely upon it, whoever made it.
#[tokio::test]
async fn what_is_there_already_is_durable() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let store = open(&disk);
        let p = path("t/object");
        write(&store, &path("t/other"), Write::Put, 9).await.unwrap();
        // The last sync of the creation, that of the folder, fails.
        disk.fail_sync(2);
        write(&store, &p, Write::Create, 1).await.unwrap_err();
        let error = write(&store, &p, Write::Create, 2).await.unwrap_err();
        assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error}");
        disk.crash(Crash::Power);
        let found = read(&open(&disk.reboot()), &p).await;
        assert_eq!(found, Some(vec![1; 50]), "seed {seed}");
    }
}

#[tokio::test]
async fn scratch_files_go_when_their_process_is_gone() {
    let disk = SimDisk::new(1);
    let scratch = FilePath::new(ROOT).join(SCRATCH);
    let first = open(&disk);
    let mut upload = first.put_multipart(&path("t/x")).await.unwrap();
    upload.put_part(vec![1; 10].into()).await.unwrap();
    // A second process opens the folder while the first one uploads.
    let second = open(&disk);
    assert_eq!(disk.list(&scratch).unwrap().len(), 1);
    assert_eq!(names(&second).await, Vec::<String>::new());
    upload.complete().await.unwrap();
    assert_eq!(names(&second).await, ["t/x"]);
    assert_eq!(disk.list(&scratch).unwrap().len(), 0);
    let upload = first.put_multipart(&path("t/y")).await.unwrap();
    disk.crash(Crash::Process);
    drop(upload);
    let disk = disk.reboot();
    assert_eq!(disk.list(&scratch).unwrap().len(), 1);
    assert_eq!(names(&open(&disk)).await, ["t/x"]);
    assert_eq!(disk.list(&scratch).unwrap().len(), 0);
}

#[tokio::test]
async fn a_real_folder_keeps_the_same_rules() {
    let dir = tempfile::tempdir().unwrap();
    let open = || LocalStore::open(Arc::new(RealDisk), dir.path()).unwrap();
    let store = open();
    let mut upload = store.put_multipart(&path("a/big")).await.unwrap();
    let other = open();
    // Larger than what is read at a time.
    let bytes: Vec<u8> = (0..9 << 20).map(|n: u32| (n % 251) as u8).collect();
    upload.put_part(bytes.clone().into()).await.unwrap();
    upload.complete().await.unwrap();
    assert!(read(&other, &path("a/big")).await.unwrap() == bytes);
    let copy = path("b/c/copy");
    other.copy(&path("a/big"), &copy).await.unwrap();
    other.copy_if_not_exists(&path("a/big"), &copy).await.unwrap_err();
    other.delete(&path("a/big")).await.unwrap();
    assert!(!dir.path().join("a").exists());
    assert_eq!(names(&store).await, ["b/c/copy"]);
    assert!(read(&store, &copy).await.unwrap() == bytes);
    store.rename(&copy, &path("b/d")).await.unwrap();
    assert_eq!(names(&store).await, ["b/d"]);
    for bad in [SCRATCH, "~scratch/x"] {
        store.put(&path(bad), PutPayload::new()).await.unwrap_err();
    }
    std::fs::write(dir.path().join(SCRATCH).join("left"), "x").unwrap();
    drop(open());
    assert!(!dir.path().join(SCRATCH).join("left").exists());
}
