//! An open sealed file.
//!
//! It stays on disk as long as somebody holds it: a file that no manifest
//! names is removed only when the last reader has let go of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use varve_log::DiskFile;

use crate::kind::Kind;
use crate::{HeadError, Result};

/// One immutable file of a seal, open for reading.
pub(crate) struct SealFile {
    /// Number of the file, unique in the partition.
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Bytes in it.
    pub(crate) len: u64,
    /// What its chunks have in common.
    pub(crate) sections: Vec<Section>,
}

/// What several chunks of one file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) window: i64,
    /// A log index that lies between the same cuts as the last entry of each
    /// chunk.
    pub(crate) index: u64,
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

    /// Whether some of its chunks lie in a window.
    pub(crate) fn holds(&self, window: i64) -> bool {
        self.sections.iter().any(|s| s.window == window)
    }
}

impl fmt::Debug for SealFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealFile({})", self.path.display())
    }
}
