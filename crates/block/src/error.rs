//! What can go wrong with a block, and what a caller should do about it.
//!
//! Bytes that come back from a bucket are never trusted: whatever is wrong
//! with them ends as [`BlockError::Corrupt`], not as a panic.

use varve_model::{ErrorKind, Labels};

use crate::chunk::ChunkError;

/// An error of writing or reading a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A local file of the writer, or a block read from a directory.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of the block could not be fetched; `kind` says what to do.
    #[error("read {file}: {message}")]
    Read {
        /// The file's name inside the block.
        file: String,
        /// What the store said.
        kind: ErrorKind,
        /// The store's message.
        message: String,
    },
    /// The bytes of a file are not what a writer of blocks produces.
    #[error("{file} is corrupt: {detail}")]
    Corrupt {
        /// The file's name inside the block.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// A chunk does not decode.
    #[error("chunk is corrupt: {0}")]
    Chunk(#[from] ChunkError),
    /// Series were pushed in the wrong order, or one twice.
    #[error("series {next} must come after {previous} in block order")]
    Order {
        /// The series pushed before.
        previous: Labels,
        /// The one that was refused.
        next: Labels,
    },
    /// What was pushed breaks a rule of the format.
    #[error("series {labels} cannot be written: {detail}")]
    Invalid {
        /// The series.
        labels: Labels,
        /// The rule that it breaks.
        detail: String,
    },
    /// The block was written in a newer format than this program reads.
    #[error("block format version {found} is newer than {supported}, the newest known")]
    Version {
        /// The block's version.
        found: u32,
        /// The newest version that this program reads.
        supported: u32,
    },
    /// A column could not be encoded.
    #[error("write {file}: {detail}")]
    Encode {
        /// The file's name inside the block.
        file: String,
        /// What the encoder said.
        detail: String,
    },
}

impl BlockError {
    /// What a caller should do about this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Read { kind, .. } => *kind,
            Self::Corrupt { .. } | Self::Chunk(_) => ErrorKind::Corrupt,
            Self::Order { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Version { .. } | Self::Encode { .. } => ErrorKind::Internal,
        }
    }

    /// A failure to fetch `file`, with what the store said about it.
    pub fn read(file: &str, kind: ErrorKind, message: impl std::fmt::Display) -> Self {
        Self::Read { file: file.to_owned(), kind, message: message.to_string() }
    }

    /// Bytes of `file` that no writer of blocks produces.
    pub fn corrupt(file: &str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { file: file.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}

/// The result of an operation on a block.
pub type Result<T, E = BlockError> = std::result::Result<T, E>;
