//! What can go wrong in an ingester, and the status that a caller gets.

use std::path::{Path, PathBuf};

use tonic::Status;
use varve_block::BlockError;
use varve_bucket::{BucketError, CatalogError};
use varve_head::HeadError;
use varve_log::LogError;
use varve_model::ErrorKind;
use varve_runtime::NoRoom;
use varve_wire::{convert::ConvertError, status};

/// An error of an ingester.
#[derive(Debug, thiserror::Error)]
pub enum IngesterError {
    /// The request names a partition that is not here.
    #[error("partition {0} is not hosted by this ingester")]
    NotHosted(u32),
    /// A partition that is here, but is to be hosted no longer, would be lost.
    #[error(
        "partition {0} is not hosted here any more but holds samples that are not shipped: host it again (setting cluster.ingesters or cluster.partitions), ship, then take it away"
    )]
    Unshipped(u32),
    /// The disk is so full that nothing more is taken.
    #[error(
        "disk is {used:.1} % full, and {reserve:.1} % are kept for the next seal and block: appends are refused from {limit:.1} % on, and while that much is not free (setting ingester.disk_high_water)"
    )]
    DiskFull {
        /// Percent in use.
        used: f64,
        /// Percent that sealing and shipping need.
        reserve: f64,
        /// Percent from which appends are refused.
        limit: f64,
    },
    /// The appends under way hold all room.
    #[error(
        "appends under way take {} bytes, {} of them the tenant's, the limit is {} (setting ingester.append_room)",
        .0.held, .0.by_owner, .0.limit
    )]
    Overloaded(NoRoom),
    /// The request is not well formed.
    #[error(transparent)]
    Request(#[from] ConvertError),
    /// A head failed.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A block could not be built.
    #[error("build block: {0}")]
    Block(#[from] BlockError),
    /// An upload failed.
    #[error("ship: {0}")]
    Bucket(#[from] BucketError),
    /// A commit failed.
    #[error("ship: {0}")]
    Catalog(#[from] CatalogError),
    /// A local file could not be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The data folder belongs to another process.
    #[error("data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Metrics of the same names are registered already.
    #[error("register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A setting is not usable.
    #[error("{0}")]
    Config(String),
    /// A task was cut off by the end of the process, or panicked.
    #[error("{0} was cut off")]
    CutOff(&'static str),
    /// A failpoint of a test.
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}

impl IngesterError {
    /// What a caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotHosted(_) => ErrorKind::NotFound,
            Self::DiskFull { .. } | Self::Overloaded(_) | Self::CutOff(_) | Self::Failpoint(_) => {
                ErrorKind::Unavailable
            }
            Self::Request(error) => error.kind(),
            Self::Head(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Block(error) => error.kind(),
            Self::Bucket(error) => error.kind(),
            Self::Catalog(error) => error.kind(),
            Self::Io { source, .. } if varve_log::is_full(source) => ErrorKind::Unavailable,
            Self::Io { .. } | Self::Metrics(_) => ErrorKind::Internal,
            Self::Config(_) | Self::InUse(_) | Self::Unshipped(_) => ErrorKind::Invalid,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<IngesterError> for Status {
    fn from(error: IngesterError) -> Self {
        status::status(error.kind(), error.to_string())
    }
}

/// The result of an ingester's work.
pub(crate) type Result<T, E = IngesterError> = std::result::Result<T, E>;
