//! A bucket: whole objects and explicit ranges of them, created once or
//! overwritten, listed and deleted; metered, timed and tried again.
//!
//! Only what all of S3, Azure, GCS, a local folder and memory do alike is used:
//! no conditional update, no suffix range (Azure has none), no order of a
//! listing. Uploads of files are in `upload.rs`.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore};
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use prometheus::Registry;
use varve_log::Disk;

use crate::local::LocalStore;
use crate::metrics::Metrics;
use crate::open::{Opened, open};
use crate::paths::ObjectPath;
use crate::{BucketConfig, BucketError, Result};

/// What a create-if-absent found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object was not there and now is, with these bytes.
    Created,
    /// An object with other bytes was there before, and still is.
    Exists,
}

/// What a listing says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Where it is.
    pub path: ObjectPath,
    /// Size in bytes.
    pub size: u64,
    /// When it was written by the store's clock, in milliseconds since the
    /// epoch.
    pub modified_ms: i64,
}

/// One level of a listing.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Objects that lie directly in it, in no order.
    pub objects: Vec<ObjectInfo>,
    /// Last parts of the paths of its sub-folders, in no order.
    pub folders: Vec<String>,
}

/// A handle on a bucket; clones share one connection pool and one set of
/// metrics.
#[derive(Clone)]
pub struct Bucket(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) plain: Arc<dyn ObjectStore>,
    pub(crate) patient: Arc<dyn ObjectStore>,
    pub(crate) config: BucketConfig,
    pub(crate) metrics: Metrics,
    url: String,
}

impl Bucket {
    /// Opens the bucket at `url`: `file:///path` or a plain path (created when
    /// absent, every write synced with its folder), `memory://name` (shared
    /// within the process by name), `s3://bucket/prefix`,
    /// `az://container/prefix`, `gs://bucket/prefix`. Makes no request, but for
    /// a folder, which is looked through for what crashed uploads left.
    pub fn open(url: &str, config: &BucketConfig, registry: &Registry) -> Result<Self> {
        Self::open_with(url, config, Metrics::new(registry))
    }

    /// Like [`Bucket::open`], counting into metrics that exist already.
    pub fn open_with(url: &str, config: &BucketConfig, metrics: Metrics) -> Result<Self> {
        let Opened { plain, patient } = open(url, config)?;
        let (config, url) = (config.clone(), url.to_owned());
        Ok(Self(Arc::new(Inner { plain, patient, config, metrics, url })))
    }

    /// A folder of a disk as a bucket, like [`Bucket::open`] of a path.
    /// Blocks.
    pub fn in_folder(
        disk: Arc<dyn Disk>,
        folder: &std::path::Path,
        config: &BucketConfig,
        metrics: Metrics,
    ) -> Result<Self> {
        let store = LocalStore::open(disk, folder).map_err(|error| BucketError::Config {
            url: folder.display().to_string(),
            detail: format!("open folder: {error}"),
        })?;
        Ok(Self::from_store(Arc::new(store), config, metrics))
    }

    /// A bucket over any store, for tests and tools.
    pub fn from_store(
        store: Arc<dyn ObjectStore>,
        config: &BucketConfig,
        metrics: Metrics,
    ) -> Self {
        let (plain, patient, config) = (store.clone(), store, config.clone());
        let url = plain.to_string();
        Self(Arc::new(Inner { plain, patient, config, metrics, url }))
    }

    /// The URL that it was opened with.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The metrics that it counts into.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The bytes of an object of at most `limit` bytes.
    pub async fn get(&self, path: &ObjectPath, limit: u64) -> Result<Bytes> {
        let store = &self.0.plain;
        // How large it is shows only when the answer begins; until then, and
        // not for as long as the largest object would take, it is waited for.
        let begin = self.0.config.timeout(0);
        let result = self.run("get", path, limit, || async {
            let asked = store.get_opts(path.inner(), GetOptions::new());
            let got = match tokio::time::timeout(begin, asked).await {
                Ok(got) => got?,
                Err(e) => {
                    return Err(StoreError::Generic { store: "bucket", source: Box::new(e) });
                }
            };
            let size = got.meta.size;
            if size > limit { Ok(Err(size)) } else { got.bytes().await.map(Ok) }
        });
        let path = path.to_string();
        match result.await? {
            Err(size) => Err(BucketError::TooLarge { path, size, limit }),
            Ok(bytes) => {
                self.moved("get", bytes.len() as u64);
                Ok(bytes)
            }
        }
    }

    /// Exactly the bytes of `range`; one that reaches beyond the object's end
    /// is an error. An empty range makes no request.
    pub async fn get_range(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes> {
        let want = range.end.saturating_sub(range.start);
        if want == 0 {
            return Ok(Bytes::new());
        }
        let store = &self.0.plain;
        let bytes = self.run("get_range", path, want, || async {
            let bounded = Some(GetRange::Bounded(range.clone()));
            let got = store.get_opts(path.inner(), GetOptions::new().with_range(bounded)).await?;
            got.bytes().await
        });
        let bytes = bytes.await?;
        self.moved("get_range", bytes.len() as u64);
        if bytes.len() as u64 != want {
            return Err(BucketError::Length {
                path: path.to_string(),
                start: range.start,
                end: range.end,
                got: bytes.len() as u64,
            });
        }
        Ok(bytes)
    }

    /// Size and time of an object.
    pub async fn head(&self, path: &ObjectPath) -> Result<ObjectInfo> {
        let store = &self.0.plain;
        let meta = self.run("head", path, 0, || store.head(path.inner())).await?;
        Ok(ObjectInfo { path: path.clone(), ..info(meta) })
    }

    /// Writes an object, over one that may be there. It is durable when this
    /// returns; after an error it may or may not have been written.
    pub async fn put(&self, path: &ObjectPath, bytes: Bytes) -> Result<()> {
        let store = &self.0.plain;
        let size = bytes.len() as u64;
        self.run("put", path, size, || {
            store.put(path.inner(), PutPayload::from_bytes(bytes.clone()))
        })
        .await?;
        self.moved("put", size);
        Ok(())
    }

    /// Writes an object unless one is there. Of any number of callers exactly
    /// one gets `Created`, provided that their bytes differ: `bytes` must hold
    /// something that is the caller's alone, because when an answer got lost
    /// and the repetition finds an object, this compares it with `bytes` to
    /// learn who wrote it. After an error the outcome is unknown.
    pub async fn put_if_absent(&self, path: &ObjectPath, bytes: Bytes) -> Result<PutOutcome> {
        let store = &self.0.plain;
        let size = bytes.len() as u64;
        let result = self.run("create", path, size, || {
            let options = PutOptions::from(PutMode::Create);
            store.put_opts(path.inner(), PutPayload::from_bytes(bytes.clone()), options)
        });
        let attempts = match result.await {
            Ok(_) => {
                self.moved("create", size);
                return Ok(PutOutcome::Created);
            }
            Err(BucketError::Store {
                source: StoreError::AlreadyExists { .. } | StoreError::Precondition { .. },
                attempts,
                ..
            }) => attempts,
            Err(error) => return Err(error),
        };
        if attempts == 1 {
            return Ok(PutOutcome::Exists);
        }
        // An earlier attempt failed without saying whether it wrote.
        match self.get(path, size).await {
            Ok(found) if found == bytes => Ok(PutOutcome::Created),
            Ok(_) | Err(BucketError::TooLarge { .. }) => Ok(PutOutcome::Exists),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, path: &ObjectPath) -> Result<()> {
        let store = &self.0.plain;
        match self.run("delete", path, 0, || store.delete(path.inner())).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Every object below a folder, in no order. A listing of many pages is a
    /// stream that can fail in its middle.
    pub fn list(&self, folder: &ObjectPath) -> BoxStream<'static, Result<ObjectInfo>> {
        self.0.metrics.operations.with_label_values(&["list"]).inc();
        let (metrics, path) = (self.0.metrics.clone(), folder.to_string());
        let prefix = (!folder.as_str().is_empty()).then(|| folder.inner());
        let listing = self.0.patient.list(prefix);
        listing
            .map(move |item| {
                item.map(info).map_err(|source| {
                    let error = classify("list", path.clone(), source, 1);
                    metrics.errors.with_label_values(&["list", error.kind().as_str()]).inc();
                    error
                })
            })
            .boxed()
    }

    /// What lies directly in a folder. Works through as many pages as needed.
    pub async fn list_folder(&self, folder: &ObjectPath) -> Result<Folder> {
        let store = &self.0.patient;
        let prefix = (!folder.as_str().is_empty()).then(|| folder.inner());
        // A minute more than one request's: there may be many pages.
        let result = self.run("list", folder, 60 << 18, || store.list_with_delimiter(prefix));
        let result = result.await?;
        let name = |p: object_store::path::Path| ObjectPath::listed(p).file_name().to_owned();
        Ok(Folder {
            objects: result.objects.into_iter().map(info).collect(),
            folders: result.common_prefixes.into_iter().map(name).collect(),
        })
    }

    pub(crate) fn moved(&self, operation: &'static str, bytes: u64) {
        self.0.metrics.bytes.with_label_values(&[operation]).inc_by(bytes);
    }

    /// Runs one operation: times each attempt, repeats those that failed for
    /// a passing reason, counts.
    pub(crate) async fn run<T, F, Fut>(
        &self,
        operation: &'static str,
        path: &ObjectPath,
        bytes: u64,
        attempt: F,
    ) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = object_store::Result<T>>,
    {
        let Inner { config, metrics, .. } = &*self.0;
        metrics.operations.with_label_values(&[operation]).inc();
        let _timer = metrics.seconds.with_label_values(&[operation]).start_timer();
        let timeout = config.timeout(bytes);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match tokio::time::timeout(timeout, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(source)) => classify(operation, path.to_string(), source, attempts),
                Err(_) => BucketError::Timeout {
                    operation,
                    path: path.to_string(),
                    seconds: timeout.as_secs(),
                    attempts,
                },
            };
            if attempts > config.max_retries || !passing(&error) {
                metrics.errors.with_label_values(&[operation, error.kind().as_str()]).inc();
                return Err(error);
            }
            tracing::debug!(%error, "bucket operation is tried again");
            metrics.retries.with_label_values(&[operation]).inc();
            tokio::time::sleep(pause(config, attempts)).await;
        }
    }
}

/// Whether the same request may succeed when made again.
fn passing(error: &BucketError) -> bool {
    match error {
        BucketError::Timeout { .. } => true,
        BucketError::Store { source, .. } => {
            matches!(source, StoreError::Generic { .. } | StoreError::JoinError { .. })
        }
        _ => false,
    }
}

/// Exponential, with between half and all of it.
fn pause(config: &BucketConfig, attempts: u32) -> Duration {
    let doubled = config.retry_pause_ms.saturating_mul(1 << (attempts - 1).min(20));
    let most = doubled.min(config.retry_max_pause_ms);
    Duration::from_millis(most).mul_f64(0.5 + varve_runtime::random_share() / 2.0)
}

fn classify(
    operation: &'static str,
    path: String,
    source: StoreError,
    attempts: u32,
) -> BucketError {
    match source {
        StoreError::NotFound { .. } => BucketError::NotFound { operation, path },
        source => BucketError::Store { operation, path, source, attempts },
    }
}

fn info(meta: ObjectMeta) -> ObjectInfo {
    ObjectInfo {
        path: ObjectPath::listed(meta.location),
        size: meta.size,
        modified_ms: meta.last_modified.timestamp_millis(),
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.url).finish()
    }
}
