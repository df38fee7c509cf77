//! Why bytes are not a chunk. Every variant names the thing that is wrong and
//! its value; none of them is worth a retry.

/// Why bytes could not be decoded as a chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end too early.
    #[error("chunk ends inside its {0}")]
    Truncated(&'static str),
    /// Bytes follow the end of the chunk.
    #[error("chunk is followed by {0} unexpected bytes")]
    Trailing(usize),
    /// The version is not known here.
    #[error("chunk has version {0}, this program reads version 1")]
    Version(u8),
    /// A field holds a value that has no meaning.
    #[error("chunk has the {field} {value}, which is not valid")]
    Field {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// More samples than a chunk may hold, or than the times beside it.
    #[error("chunk claims {claimed} samples, at most {limit} are possible")]
    TooMany {
        /// The number claimed.
        claimed: u64,
        /// The number possible.
        limit: u64,
    },
    /// A time that is not after the one before it.
    #[error("time {time} is not after {after}")]
    Order {
        /// The time.
        time: i64,
        /// The one before it.
        after: i64,
    },
    /// Another number of samples than the column beside it.
    #[error("chunk holds {found} samples where {expected} were expected")]
    Count {
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
}
