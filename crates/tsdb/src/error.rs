//! Why bytes are not a chunk, or samples do not fit into one.

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end before the samples that the header promises.
    #[error("chunk is cut short")]
    Truncated,
    /// A number takes more than 64 bits.
    #[error("chunk has a number of more than 64 bits")]
    Overlong,
    /// More significant bits than a float has, or none that were named before.
    #[error("chunk has an impossible window of significant bits")]
    Window,
    /// A time that is not later than the one before.
    #[error("chunk has times that do not increase")]
    Times,
    /// A schema that no reader knows.
    #[error("chunk has the unknown histogram schema {0}")]
    Schema(i64),
    /// A span or offset beyond 32 bits.
    #[error("chunk has a bucket span beyond 32 bits")]
    Span,
    /// Decoded histograms would take too much memory.
    #[error("chunk decodes to more than {0} bytes of histograms")]
    TooLarge(usize),
    /// A histogram whose spans name another number of buckets than it has.
    #[error("histogram at time {0} has another number of counts than its spans name")]
    Irregular(i64),
}
