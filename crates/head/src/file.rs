//! An open sealed file.
//!
//! It stays on disk as long as somebody holds it: a file that no manifest
//! names is removed only when the last reader has let go of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use varve_log::DiskFile;

use crate::{HeadError, Result};

/// One immutable file of a seal, open for reading.
pub(crate) struct SealFile {
    /// Number of the file, unique in the partition.
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Ends of the windows that its chunks lie in.
    pub(crate) windows: Vec<i64>,
}

impl SealFile {
    /// Reads exactly `len` bytes.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read =
            self.file.read_at(offset, &mut bytes).map_err(HeadError::io("read", &self.path))?;
        if read < len {
            let detail = format!("{len} bytes expected, the file ends after {read}");
            return Err(HeadError::corrupt(&self.path, offset, detail));
        }
        Ok(bytes)
    }
}

impl fmt::Debug for SealFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealFile({})", self.path.display())
    }
}
