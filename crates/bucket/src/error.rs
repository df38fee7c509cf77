//! What can go wrong with a bucket, and what a caller should do about it.
//!
//! The catalog's own errors are in `catalog/error.rs`.

use varve_model::ErrorKind;

/// An error of an operation on a bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The URL or an option is not usable.
    #[error("open bucket {url:?}: {detail}")]
    Config {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A path that an object store cannot hold.
    #[error("path {path:?} is not usable: {detail}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such object.
    #[error("{operation} {path}: not found")]
    NotFound {
        /// What was tried.
        operation: &'static str,
        /// The object.
        path: String,
    },
    /// The store answered with fewer or more bytes than its range holds.
    #[error("read {path}: asked for bytes {start}..{end}, got {got} bytes")]
    Length {
        /// The object.
        path: String,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Number of bytes that came.
        got: u64,
    },
    /// The object is larger than its reader allows.
    #[error("read {path}: {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The object.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The most that would have been read.
        limit: u64,
    },
    /// The attempt took too long, and so did those after it.
    #[error("{operation} {path}: no answer within {seconds} s, {attempts} attempts")]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// The object.
        path: String,
        /// Time allowed for the last attempt.
        seconds: u64,
        /// Number of attempts.
        attempts: u32,
    },
    /// A file on this machine.
    #[error("read {path}: {source}")]
    Local {
        /// The file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The store refused or failed.
    #[error("{operation} {path}: {source} ({attempts} attempts)")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// The object.
        path: String,
        /// What the store said.
        source: object_store::Error,
        /// Number of attempts.
        attempts: u32,
    },
}

impl BucketError {
    /// What a caller should do about this error. After `Unavailable` or
    /// `Timeout` of a write its outcome is unknown.
    pub fn kind(&self) -> ErrorKind {
        use object_store::Error as E;
        match self {
            Self::Config { .. } | Self::Path { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Length { .. } | Self::TooLarge { .. } => ErrorKind::Corrupt,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Local { .. } => ErrorKind::Unavailable,
            Self::Store { source, .. } => match source {
                E::NotFound { .. } => ErrorKind::NotFound,
                E::AlreadyExists { .. } | E::Precondition { .. } => ErrorKind::Conflict,
                E::InvalidPath { .. } | E::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
                // The process' credentials are not the caller's: a wrong key is
                // an outage of this service, whoever asked it for something.
                E::PermissionDenied { .. } | E::Unauthenticated { .. } => ErrorKind::Unavailable,
                E::NotSupported { .. } | E::NotImplemented { .. } => ErrorKind::Internal,
                _ => ErrorKind::Unavailable,
            },
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }
}

/// The result of an operation on a bucket.
pub type Result<T, E = BucketError> = std::result::Result<T, E>;
