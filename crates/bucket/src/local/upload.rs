//! An upload in parts: each is written where it belongs as it comes, and the
//! object appears when all are there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::scratch::Scratch;
use super::{LocalStore, generic, put_result};

pub(super) struct Upload {
    store: LocalStore,
    target: PathBuf,
    /// Until it is complete or given up.
    scratch: Option<Arc<Scratch>>,
    /// Where the next part goes.
    end: u64,
}

impl Upload {
    pub(super) fn new(store: LocalStore, target: PathBuf, scratch: Scratch) -> Self {
        Self { store, target, scratch: Some(Arc::new(scratch)), end: 0 }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let at = self.end;
        self.end += data.content_length() as u64;
        let (store, scratch) = (self.store.clone(), self.scratch.clone());
        Box::pin(async move {
            let scratch = scratch.ok_or_else(|| generic("the upload has ended"))?;
            let write = move |_: &_| {
                let parts: Vec<&[u8]> = data.iter().map(Bytes::as_ref).collect();
                scratch.write(at, &parts)
            };
            store.run(write).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let scratch = self.scratch.take().and_then(Arc::into_inner);
        let scratch = scratch.ok_or_else(|| generic("the upload has ended, or a part has not"))?;
        let target = self.target.clone();
        self.store.run(move |folder| scratch.publish(folder, &target, true)).await?;
        Ok(put_result())
    }

    async fn abort(&mut self) -> Result<()> {
        let scratch = self.scratch.take();
        self.store
            .run(move |_| {
                drop(scratch);
                Ok(())
            })
            .await
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({})", self.target.display())
    }
}
