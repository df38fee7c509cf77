//! Why a whole request was turned away. What is wrong with single samples is
//! in `refusal.rs`.

use std::time::Duration;

use varve_model::ErrorKind;
use varve_runtime::NoRoom;
use varve_wire::remote_write::DecodeError;

/// Why nothing of a request, or not all of it, was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// The compressed body is too long.
    #[error("request body is {got} bytes long, the limit is {limit} (max_request_bytes)")]
    Body {
        /// Its length.
        got: usize,
        /// What is allowed.
        limit: u64,
    },
    /// The body cannot be read, or decodes to too much.
    #[error("{0}{hint}", hint = if .0.is_too_large() { " (max_decompressed_bytes)" } else { "" })]
    Decode(#[from] DecodeError),
    /// The tenant sends too much.
    #[error(
        "{samples} samples exceed the tenant's rate of {rate} samples a second with bursts of \
         {burst} (ingestion_rate, ingestion_burst)"
    )]
    Rate {
        /// Samples in the request.
        samples: u64,
        /// The limit.
        rate: u64,
        /// The limit of what may come at once.
        burst: u64,
        /// When the request would pass.
        retry_after: Duration,
    },
    /// Too much is under way already.
    #[error(
        "requests under way take {} bytes, {} of them the tenant's, the limit is {} (inflight)",
        .0.held, .0.by_owner, .0.limit
    )]
    Overloaded(NoRoom),
    /// A partition did not take its share, but may later.
    #[error("partition {partition} is not available: {message}")]
    Unavailable {
        /// Which partition.
        partition: u32,
        /// What it said last.
        message: String,
    },
    /// A partition refused its share: for good when the kind is `TooLarge`,
    /// otherwise for a reason that should not occur.
    #[error("partition {partition} failed: {message}")]
    Failed {
        /// Which partition.
        partition: u32,
        /// What it said.
        message: String,
        /// What kind of refusal it was.
        kind: ErrorKind,
    },
}

impl WriteError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Body { .. } => ErrorKind::TooLarge,
            Self::Decode(e) if e.is_too_large() => ErrorKind::TooLarge,
            Self::Decode(_) => ErrorKind::Invalid,
            Self::Rate { .. } => ErrorKind::Limited,
            Self::Overloaded(_) | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Failed { kind, .. } => *kind,
        }
    }
}
