//! Files of blocks, read through memory and local disk.
//!
//! A file is cut into aligned pages. Files are immutable and block ids are
//! used once, so a cached page is never stale, across restarts too. Pages that
//! are missing side by side are fetched by one request, and a page that is
//! being fetched is waited for, not fetched twice.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, Source,
};
use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_block::{BlockEntry, BlockError, BlockFiles};
use varve_model::{ErrorKind, TenantId};

use crate::paths::ObjectPath;
use crate::{Bucket, BucketError, Result, paths};

/// How large the cache of block files is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Memory for pages, in bytes.
    pub memory_bytes: usize,
    /// Folder for pages that left memory; without one there is no disk cache.
    pub disk_dir: Option<PathBuf>,
    /// Disk space for pages, in bytes.
    pub disk_bytes: usize,
    /// Size of a page, in bytes. Smaller wastes less on scattered reads,
    /// larger needs fewer requests.
    pub page_bytes: u64,
    /// The most bytes that one request fetches. A read of more is split into
    /// requests that run at the same time.
    pub fetch_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            disk_dir: None,
            disk_bytes: 10 << 30,
            page_bytes: 64 << 10,
            fetch_bytes: 4 << 20,
        }
    }
}

/// A run of pages that is being fetched: its first page, and its bytes.
type Fetch = Shared<BoxFuture<'static, Result<Bytes, Arc<BucketError>>>>;

/// The cache of one process. Clones share it.
#[derive(Clone)]
pub struct FileCache(Arc<Inner>);

struct Inner {
    bucket: Bucket,
    config: CacheConfig,
    pages: HybridCache<String, Bytes>,
    /// Pages being fetched: the run that each is in, and the run's first page.
    fetching: Mutex<HashMap<String, (u64, Fetch)>>,
}

impl FileCache {
    /// Opens the cache; pages that an earlier process left on disk are used.
    pub async fn open(bucket: Bucket, config: CacheConfig) -> Result<Self> {
        let fail = |detail: String| BucketError::Config { url: "file cache".to_owned(), detail };
        if config.page_bytes < 4096 || config.fetch_bytes < config.page_bytes {
            let (page, fetch) = (config.page_bytes, config.fetch_bytes);
            return Err(fail(format!("page_bytes {page} or fetch_bytes {fetch} is too small")));
        }
        let memory = HybridCacheBuilder::new()
            .with_name("varve-block-files")
            .memory(config.memory_bytes)
            .with_weighter(|key: &String, page: &Bytes| key.len() + page.len())
            .storage();
        let built = match &config.disk_dir {
            None => memory.build().await,
            Some(dir) => {
                let made = tokio::fs::create_dir_all(dir).await;
                made.map_err(|e| fail(format!("create {}: {e}", dir.display())))?;
                let device = FsDeviceBuilder::new(dir).with_capacity(config.disk_bytes);
                let device = device.build().map_err(|e| fail(e.to_string()))?;
                memory.with_engine_config(BlockEngineConfig::new(device)).build().await
            }
        };
        let pages = built.map_err(|e| fail(e.to_string()))?;
        Ok(Self(Arc::new(Inner { bucket, config, pages, fetching: Mutex::default() })))
    }

    /// The files of one block.
    pub fn files(&self, tenant: &TenantId, entry: &BlockEntry) -> CachedFiles {
        let sizes = entry.files.iter().map(|(name, file)| (name.clone(), file.size)).collect();
        CachedFiles { cache: self.0.clone(), tenant: tenant.clone(), id: entry.id, sizes }
    }

    /// Writes what is still only in memory to disk, and closes the cache.
    pub async fn close(&self) {
        if let Err(error) = self.0.pages.close().await {
            tracing::warn!(%error, "close the cache of block files");
        }
    }
}

impl std::fmt::Debug for FileCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileCache").field(&self.0.config).finish()
    }
}

/// The files of one block, read through the cache.
#[derive(Clone)]
pub struct CachedFiles {
    cache: Arc<Inner>,
    tenant: TenantId,
    id: Ulid,
    sizes: BTreeMap<String, u64>,
}

#[async_trait]
impl BlockFiles for CachedFiles {
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes, BlockError> {
        let Some(size) = self.sizes.get(file).copied() else {
            let detail = format!("block {} has no such file", self.id);
            return Err(BlockError::read(file, ErrorKind::NotFound, detail));
        };
        if range.end > size || range.start > range.end {
            let detail = format!("range {}..{} of {size} bytes", range.start, range.end);
            return Err(BlockError::corrupt(file, detail));
        }
        let path = paths::block_file(&self.tenant, self.id, file);
        let read = self.cache.clone().read(path, size, range).await;
        read.map_err(|error| BlockError::read(file, error.kind(), error))
    }
}

impl Inner {
    async fn read(
        self: Arc<Self>,
        path: ObjectPath,
        size: u64,
        range: Range<u64>,
    ) -> Result<Bytes, Arc<BucketError>> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let page = self.config.page_bytes;
        let wanted = range.start / page..range.end.div_ceil(page);
        let mut have: BTreeMap<u64, Bytes> = BTreeMap::new();
        for number in wanted.clone() {
            if let Some(bytes) = self.cached(&path, number, size).await {
                have.insert(number, bytes);
            }
        }
        let missing: Vec<u64> = wanted.clone().filter(|n| !have.contains_key(n)).collect();
        let fetches = self.fetch(&path, size, &missing);
        let fetched = futures::future::join_all(fetches.iter().map(|(.., f)| f.clone())).await;
        for ((first, numbers, _), bytes) in fetches.iter().zip(fetched) {
            let bytes = bytes?;
            for number in numbers {
                have.insert(*number, slice_of(&bytes, *first, *number, page));
            }
        }
        self.bucket.metrics().cache_memory_bytes.set(self.pages.memory().usage() as i64);
        let skip = (range.start - wanted.start * page) as usize;
        let length = (range.end - range.start) as usize;
        if have.len() == 1
            && let Some(only) = have.values().next()
        {
            return Ok(only.slice(skip..skip + length));
        }
        let mut all = BytesMut::with_capacity((have.len() as u64 * page) as usize);
        have.values().for_each(|bytes| all.extend_from_slice(bytes));
        Ok(all.freeze().slice(skip..skip + length))
    }

    async fn cached(&self, path: &ObjectPath, number: u64, size: u64) -> Option<Bytes> {
        let found = match self.pages.get(&key(path, number)).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(%error, "page is not readable in the cache");
                return None;
            }
        };
        let start = number * self.config.page_bytes;
        let length = self.config.page_bytes.min(size - start);
        if found.value().len() as u64 != length {
            return None;
        }
        let result = if found.source() == Source::Disk { "disk" } else { "memory" };
        self.bucket.metrics().cache_pages.with_label_values(&[result]).inc();
        Some(found.value().clone())
    }

    /// For each missing page, a fetch that will bring it: (first page of the
    /// fetch, the pages wanted of it, the fetch).
    fn fetch(
        self: &Arc<Self>,
        path: &ObjectPath,
        size: u64,
        missing: &[u64],
    ) -> Vec<(u64, Vec<u64>, Fetch)> {
        let most = self.config.fetch_bytes / self.config.page_bytes;
        let mut fetching = self.fetching.lock();
        let mut out: Vec<(u64, Vec<u64>, Fetch)> = Vec::new();
        let mut run: Option<Range<u64>> = None;
        let mut runs = Vec::new();
        for &number in missing {
            if let Some((first, fetch)) = fetching.get(&key(path, number)) {
                out.push((*first, vec![number], fetch.clone()));
                continue;
            }
            match &mut run {
                Some(r) if r.end == number && r.end - r.start < most => r.end += 1,
                _ => runs.extend(run.replace(number..number + 1)),
            }
        }
        runs.extend(run);
        for run in runs {
            let fetch = self.start(path.clone(), size, run.clone());
            for number in run.clone() {
                fetching.insert(key(path, number), (run.start, fetch.clone()));
            }
            out.push((run.start, run.collect(), fetch));
        }
        out
    }

    /// Starts to fetch a run of pages in a task of its own, so that a reader
    /// that goes away does not take it from the others.
    fn start(self: &Arc<Self>, path: ObjectPath, size: u64, run: Range<u64>) -> Fetch {
        let inner = self.clone();
        let task = tokio::spawn(async move {
            let page = inner.config.page_bytes;
            let range = run.start * page..(run.end * page).min(size);
            let metrics = inner.bucket.metrics();
            metrics.cache_pages.with_label_values(&["miss"]).inc_by(run.end - run.start);
            metrics.cache_fetched_bytes.inc_by(range.end - range.start);
            let result = inner.bucket.get_range(&path, range).await.map_err(Arc::new);
            if let Ok(bytes) = &result {
                for number in run.clone() {
                    // A copy, so that one page does not keep the whole run.
                    let piece = slice_of(bytes, run.start, number, page);
                    inner.pages.insert(key(&path, number), Bytes::copy_from_slice(&piece));
                }
            }
            let mut fetching = inner.fetching.lock();
            for number in run {
                fetching.remove(&key(&path, number));
            }
            drop(fetching);
            result
        });
        let joined = async move {
            match task.await {
                Ok(result) => result,
                Err(error) => Err(Arc::new(BucketError::Store {
                    operation: "get_range",
                    path: "block file".to_owned(),
                    source: error.into(),
                    attempts: 1,
                })),
            }
        };
        joined.boxed().shared()
    }
}

/// Page `number` within the bytes of a run that begins with page `first`.
fn slice_of(run: &Bytes, first: u64, number: u64, page: u64) -> Bytes {
    let start = ((number - first) * page) as usize;
    run.slice(start..(start + page as usize).min(run.len()))
}

fn key(path: &ObjectPath, number: u64) -> String {
    format!("{path}#{number}")
}

#[cfg(test)]
mod tests;
