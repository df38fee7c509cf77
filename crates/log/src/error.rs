//! Why the log could not do what it was asked.
//!
//! Errors are cheap to clone, because one failed sync fails every append that
//! waited for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use varve_model::ErrorKind;

/// An error of the log. [`LogError::kind`] says what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The disk has no room for another segment. Nothing was acknowledged;
    /// the same append succeeds once there is room.
    #[error("disk full in {}: cannot {doing}", path.display())]
    Full {
        /// The folder or file that could not grow.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
    },
    /// The log is closed: after a failed write or sync (the process should
    /// exit and recover), or because it was shut down.
    #[error("log is closed: {reason}")]
    Closed {
        /// The first failure.
        reason: Arc<str>,
    },
    /// Bytes that were synced are not what was written.
    #[error("log is corrupt: {} at offset {offset}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file the first bad byte range starts.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// The entries asked for were purged.
    #[error("partition {partition}: entry {index} is purged, the log starts at {first}")]
    Purged {
        /// The partition.
        partition: u32,
        /// The first entry that was asked for.
        index: u64,
        /// The first entry that there is.
        first: u64,
    },
    /// A payload larger than a segment can hold.
    #[error("entry of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the payload.
        size: usize,
        /// Most bytes a payload may have.
        limit: usize,
    },
    /// A call to the operating system failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<std::io::Error>,
    },
}

impl LogError {
    /// What a caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::Closed { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Purged { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}
