//! Where a reader gets a block's bytes from: range reads by file name.
//!
//! The store-gateway implements this over the cached bucket; [`LocalFiles`]
//! over a directory, for tools and tests.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BlockError, Result};

/// Range reads of the files of one block.
#[async_trait]
pub trait BlockFiles: Send + Sync {
    /// The bytes `range` of `file`: all of them or an error. A range beyond
    /// the end of the file is an error.
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes>;
}

/// The files of a block in a local directory; reads block the caller's thread.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    dir: PathBuf,
}

impl LocalFiles {
    /// The block whose files lie in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }
}

#[async_trait]
impl BlockFiles for LocalFiles {
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes> {
        let path = self.dir.join(file);
        let mut handle = std::fs::File::open(&path).map_err(BlockError::io("open", &path))?;
        let size = handle.metadata().map_err(BlockError::io("stat", &path))?.len();
        if range.end > size || range.start > range.end {
            let detail = format!("range {}..{} of {size} bytes", range.start, range.end);
            return Err(BlockError::corrupt(file, detail));
        }
        handle.seek(SeekFrom::Start(range.start)).map_err(BlockError::io("seek", &path))?;
        let mut out = vec![0; (range.end - range.start) as usize];
        handle.read_exact(&mut out).map_err(BlockError::io("read", &path))?;
        Ok(out.into())
    }
}
