//! What can go wrong with a catalog, and what a caller should do about it.

use std::sync::Arc;

use ulid::Ulid;
use varve_model::{ErrorKind, TenantId};

use crate::BucketError;

/// An error of a catalog. Cheap to clone: changes that were committed together
/// fail together.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The bucket failed; after a commit, its outcome is unknown and the
    /// caller repeats it.
    #[error(transparent)]
    Bucket(Arc<BucketError>),
    /// The version has been collected, or was held for too long: pin anew.
    #[error("catalog version {version} of tenant {tenant} is gone, the floor is {floor}")]
    VersionGone {
        /// Whose catalog.
        tenant: TenantId,
        /// The version asked for.
        version: u64,
        /// The highest version known to be collected.
        floor: u64,
    },
    /// No such version has been committed yet.
    #[error("catalog version {version} of tenant {tenant} does not exist")]
    NoSuchVersion {
        /// Whose catalog.
        tenant: TenantId,
        /// The version asked for.
        version: u64,
    },
    /// A block to be replaced is no longer in the catalog: plan anew.
    #[error("block {id} is not in catalog version {version}")]
    BlockGone {
        /// The block.
        id: Ulid,
        /// The version that lacks it.
        version: u64,
    },
    /// A file of a block to be added is not in the bucket as its entry says.
    #[error("block {id} cannot be committed: file {file}: {detail}")]
    BlockFile {
        /// The block.
        id: Ulid,
        /// The file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The block was built so long ago that garbage collection may take it for
    /// an orphan: build it again under a new id.
    #[error("block {id} cannot be committed: built {age_ms} ms ago, the limit is {limit_ms} ms")]
    BlockTooOld {
        /// The block.
        id: Ulid,
        /// Its age in milliseconds.
        age_ms: i64,
        /// The age from which it is refused, in milliseconds.
        limit_ms: i64,
    },
    /// The change contradicts itself.
    #[error("change is not valid: {0}")]
    Invalid(String),
    /// Others were faster each time, for as long as a commit is tried.
    #[error("commit for tenant {tenant} lost {lost} races in {ms} ms")]
    Contended {
        /// Whose catalog.
        tenant: TenantId,
        /// Number of lost races.
        lost: u32,
        /// Time spent, in milliseconds.
        ms: i64,
    },
    /// An object of the catalog is not what a writer of catalogs produces.
    #[error("{path} is corrupt: {detail}")]
    Corrupt {
        /// The object.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// An object of the catalog was written in a newer format.
    #[error("{path} has format {found}, the newest known is {supported}")]
    Format {
        /// The object.
        path: String,
        /// Its format.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },
    /// A failpoint of a test.
    #[error("stopped at failpoint {0}")]
    Failpoint(&'static str),
    /// The task that worked on the commit ended; the outcome is unknown.
    #[error("the commit was given up, its outcome is unknown")]
    Abandoned,
}

impl CatalogError {
    /// What a caller should do about this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bucket(error) => error.kind(),
            Self::VersionGone { .. } | Self::BlockGone { .. } => ErrorKind::Conflict,
            Self::NoSuchVersion { .. } => ErrorKind::NotFound,
            // The same change cannot succeed later: the block is built again.
            Self::BlockFile { .. } | Self::BlockTooOld { .. } | Self::Invalid(_) => {
                ErrorKind::Invalid
            }
            Self::Contended { .. } | Self::Failpoint(_) | Self::Abandoned => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Format { .. } => ErrorKind::Internal,
        }
    }

    /// Whether the version that a reader holds cannot be read any more.
    pub fn is_version_gone(&self) -> bool {
        matches!(self, Self::VersionGone { .. })
    }
}

impl From<BucketError> for CatalogError {
    fn from(error: BucketError) -> Self {
        Self::Bucket(Arc::new(error))
    }
}

/// The result of an operation on a catalog.
pub type Result<T, E = CatalogError> = std::result::Result<T, E>;
