//! What can go wrong in a head, and what a caller should do about it.
//!
//! Refused samples are not errors; they are part of an append's outcome.

use std::path::{Path, PathBuf};

use varve_block::BlockError;
use varve_log::LogError;
use varve_model::{ErrorKind, Labels, TenantId};

/// An error of a partition's head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The bytes of an append are not a batch.
    #[error("batch cannot be read: {0}")]
    Batch(String),
    /// The log did not take an entry.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A sealed file is not what was written.
    #[error("sealed file {} is corrupt at offset {offset}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// An entry of the log cannot be applied; nothing after it is.
    #[error("log entry {index} cannot be applied: {detail}")]
    Entry {
        /// Its index in the partition's log.
        index: u64,
        /// Why.
        detail: String,
    },
    /// Samples in memory or in a sealed file do not decode.
    #[error("samples of {labels}: {source}")]
    Samples {
        /// The series.
        labels: Labels,
        /// Why.
        source: BlockError,
    },
    /// There is no such cut, or it has shipped already.
    #[error("there is no open cut {number} of the window that ends at {window_end}")]
    NoCut {
        /// The window.
        window_end: i64,
        /// The cut asked for.
        number: u64,
    },
    /// A tenant's block of a cut is not committed.
    #[error(
        "cut {number} of the window that ends at {window_end} has samples of {tenant}, but no catalog version names them"
    )]
    NotShipped {
        /// The window.
        window_end: i64,
        /// The cut.
        number: u64,
        /// The tenant.
        tenant: TenantId,
    },
    /// The partition no longer applies its log.
    #[error("partition {partition} is stopped: {reason}")]
    Stopped {
        /// The partition.
        partition: u32,
        /// The first failure.
        reason: String,
    },
}

impl HeadError {
    /// What a caller should do about this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Batch(_) => ErrorKind::Invalid,
            Self::Log(error) => error.kind(),
            Self::Corrupt { .. } | Self::Entry { .. } => ErrorKind::Corrupt,
            Self::Io { source, .. } if varve_log::is_full(source) => ErrorKind::Unavailable,
            Self::Io { .. } => ErrorKind::Internal,
            Self::Samples { source, .. } => source.kind(),
            Self::NoCut { .. } => ErrorKind::NotFound,
            Self::NotShipped { .. } => ErrorKind::Invalid,
            Self::Stopped { .. } => ErrorKind::Unavailable,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, detail: detail.to_string() }
    }
}

/// The result of an operation on a head.
pub type Result<T, E = HeadError> = std::result::Result<T, E>;
