//! Uploading local files: in one request when small, in parts when large.

use std::path::Path;

use bytes::Bytes;
use object_store::{ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use crate::paths::ObjectPath;
use crate::{Bucket, BucketError, Result};

/// Parts in flight at once; with the part size it bounds an upload's memory.
const PARTS_IN_FLIGHT: usize = 4;
/// The least that S3 takes as a part, but for the last.
const MIN_PART: u64 = 5 << 20;

impl Bucket {
    /// Writes a local file to `path`, over an object that may be there, and
    /// returns its size in bytes. The object appears whole or not at all and
    /// is durable when this returns.
    pub async fn put_file(&self, path: &ObjectPath, file: &Path) -> Result<u64> {
        let local = |source| BucketError::Local { path: file.display().to_string(), source };
        let name = file.to_owned();
        let small = self.0.config.part_bytes.max(MIN_PART);
        let begin = varve_runtime::spawn_blocking(move || -> std::io::Result<_> {
            let size = std::fs::metadata(&name)?.len();
            let bytes = if size <= small { Some(std::fs::read(&name)?) } else { None };
            Ok((size, bytes))
        });
        let (size, bytes) = begin.await.map_err(Into::into).flatten().map_err(local)?;
        if let Some(bytes) = bytes {
            let size = bytes.len() as u64;
            self.put(path, Bytes::from(bytes)).await?;
            return Ok(size);
        }
        // S3 takes at most 10,000 parts.
        let part = small.max(size.div_ceil(9_000));
        let store = &self.0.patient;
        let upload = || async move {
            let upload = store.put_multipart(path.inner()).await?;
            send_parts(upload, file, part as usize).await
        };
        let sent = self.run("upload", path, size, upload).await?;
        self.moved("upload", sent);
        Ok(sent)
    }
}

async fn send_parts(
    upload: Box<dyn object_store::MultipartUpload>,
    file: &Path,
    part: usize,
) -> object_store::Result<u64> {
    let mut parts = WriteMultipart::new_with_chunk_size(upload, part);
    let sent = match feed(&mut parts, file, part).await {
        Ok(sent) => sent,
        Err(error) => {
            // The parts would be stored, and paid for, until somebody aborts.
            if let Err(error) = parts.abort().await {
                tracing::warn!(%error, file = %file.display(), "abort upload");
            }
            return Err(error);
        }
    };
    parts.finish().await?;
    Ok(sent)
}

async fn feed(parts: &mut WriteMultipart, file: &Path, part: usize) -> object_store::Result<u64> {
    let local = |source: std::io::Error| object_store::Error::Generic {
        store: "local file",
        source: Box::new(source),
    };
    let mut reader = tokio::fs::File::open(file).await.map_err(local)?;
    let mut sent = 0;
    loop {
        parts.wait_for_capacity(PARTS_IN_FLIGHT - 1).await?;
        let mut piece = Vec::with_capacity(part);
        let mut limited = (&mut reader).take(part as u64);
        limited.read_to_end(&mut piece).await.map_err(local)?;
        if piece.is_empty() {
            return Ok(sent);
        }
        sent += piece.len() as u64;
        parts.put(Bytes::from(piece));
    }
}
