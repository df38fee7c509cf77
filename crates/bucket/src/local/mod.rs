//! A local folder as an object store, on a [`Disk`](varve_log::Disk).
//!
//! An object is written to a scratch file, synced, and then given its name,
//! which is synced too: it is there whole or not at all, and durable once its
//! writer or anybody who read it whole knows of it. Any number of processes
//! may use one folder at once.

mod folder;
mod list;
mod scratch;
#[cfg(test)]
mod tests;
mod upload;

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use varve_log::{Disk, DiskFile};
use varve_runtime::spawn_blocking;

use folder::{Folder, generic};

/// Bytes that are read at a time.
const READ_BYTES: u64 = 4 << 20;
/// Deletions of one stream that are under way at once.
const DELETES_IN_FLIGHT: usize = 8;

/// The store. Clones share it.
#[derive(Clone)]
pub(crate) struct LocalStore(Arc<Folder>);

impl LocalStore {
    /// Opens a folder, which is created if there is none, and removes what
    /// uploads left in it whose process is gone. Blocks.
    pub(crate) fn open(disk: Arc<dyn Disk>, root: &FilePath) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Folder::open(disk, root)?)))
    }

    /// Runs file work on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.0);
        spawn_blocking(move || work(&folder)).await?
    }
}

fn put_result() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Default::default() }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(self.lacks("put_opts with PutMode::Update")),
        };
        if !options.attributes.is_empty() {
            return Err(self.lacks("put_opts with attributes"));
        }
        let location = location.clone();
        self.run(move |folder| {
            let target = folder.file(&location)?;
            let scratch = folder.scratch()?;
            let parts: Vec<&[u8]> = payload.iter().map(Bytes::as_ref).collect();
            scratch.write(0, &parts)?;
            scratch.publish(folder, &target, replace)
        })
        .await?;
        Ok(put_result())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.lacks("put_multipart_opts with attributes"));
        }
        let location = location.clone();
        let begun = self.run(move |folder| Ok((folder.file(&location)?, folder.scratch()?)));
        let (target, scratch) = begun.await?;
        Ok(Box::new(upload::Upload::new(self.clone(), target, scratch)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        let (first, result) = self.run(move |folder| get(folder, location, &options)).await?;
        let Some((file, bytes)) = first else { return Ok(result) };
        let begun = result.range.start + bytes.len() as u64;
        let end = result.range.end;
        let rest = stream::try_unfold((file, begun), move |(file, at)| async move {
            if at >= end {
                return Ok(None);
            }
            let read = move || {
                let bytes = read(&*file, at, (end - at).min(READ_BYTES))?;
                Ok::<_, Error>((bytes, file))
            };
            let (bytes, file) = spawn_blocking(read).await??;
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, (file, next))))
        });
        let all = stream::once(async move { Ok(bytes) }).chain(rest);
        Ok(GetResult { payload: GetResultPayload::Stream(all.boxed()), ..result })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let path = location.clone();
                store.run(move |folder| folder.remove(&path)).await?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES_IN_FLIGHT).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(self.clone(), prefix.cloned().unwrap_or_default())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let level = self.run(move |folder| folder.level(&prefix)).await?;
        let extensions = Default::default();
        Ok(ListResult { common_prefixes: level.folders, objects: level.objects, extensions })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let replace = match options.mode {
            CopyMode::Overwrite => true,
            CopyMode::Create => false,
        };
        let (from, to) = (from.clone(), to.clone());
        self.run(move |folder| {
            let (source, target) = (folder.file(&from)?, folder.file(&to)?);
            // An object's bytes are never changed, so two names may share them.
            folder.scratch_of(&source)?.publish(folder, &target, replace)
        })
        .await
    }
}

/// Opens an object and reads its beginning; no bytes where only its
/// description is asked for.
#[allow(clippy::type_complexity, reason = "named where it is taken apart")]
fn get(
    folder: &Folder,
    location: Path,
    options: &GetOptions,
) -> Result<(Option<(Arc<dyn DiskFile>, Bytes)>, GetResult)> {
    let path = folder.file(&location)?;
    if options.range.is_none() {
        // Who reads a whole object decides by it.
        folder.settle_for(&path)?;
    }
    let (file, meta) = folder.open_object(&path, location)?;
    options.check_preconditions(&meta)?;
    let all = 0..meta.size;
    let range = match &options.range {
        Some(range) => range.as_range(meta.size).map_err(generic)?,
        None => all,
    };
    let first = if options.head {
        None
    } else {
        let bytes = read(&*file, range.start, (range.end - range.start).min(READ_BYTES))?;
        Some((file, bytes))
    };
    let payload = GetResultPayload::Stream(stream::empty().boxed());
    let (attributes, extensions) = Default::default();
    Ok((first, GetResult { payload, meta, range, attributes, extensions }))
}

/// Reads exactly `len` bytes.
fn read(file: &dyn DiskFile, at: u64, len: u64) -> Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(len).map_err(generic)?];
    let got = file.read_at(at, &mut bytes).map_err(generic)?;
    if got < bytes.len() {
        let detail = format!("{len} bytes expected at {at}, the file ends after {got}");
        return Err(generic(detail));
    }
    Ok(bytes.into())
}

impl LocalStore {
    fn lacks(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() }
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "folder {}", self.0.root().display())
    }
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalStore({})", self.0.root().display())
    }
}
