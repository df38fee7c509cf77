//! The log of one ingest partition, whatever replicates it.
//!
//! With one replica it is a view of a `SegmentLog`; with
//! several, Raft stands between. Apply code sees only this trait.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{Entry, EntryKind, LogError, Position};

/// What a subscriber of a log receives.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// The next entry.
    Entry(Entry),
    /// Every entry that was durable when the subscription began has been
    /// delivered; what follows is live. Sent once.
    CaughtUp,
    /// The log cannot go on (it is corrupt, closed, or the entries asked for
    /// were purged). Nothing follows.
    Failed(LogError),
}

/// The ordered, durable entries of one partition.
#[async_trait]
pub trait PartitionLog: Send + Sync {
    /// The partition's number.
    fn id(&self) -> u32;

    /// Appends one entry. On `Ok` the entry is on disk (on a majority of
    /// disks, if replicated): `fdatasync` has returned. Entries of one
    /// partition get consecutive indexes from 1, in the order in which
    /// `append` was first polled. Dropping the future does not take the entry
    /// back. Waits while the queue is over its bound of bytes.
    ///
    /// Errors: `Full` and `Closed` ([`ErrorKind::Unavailable`]): not
    /// acknowledged; after `Closed` the entry may still appear when the log is
    /// opened again. `TooLarge`: refused for good.
    ///
    /// [`ErrorKind::Unavailable`]: varve_model::ErrorKind::Unavailable
    async fn append(&self, kind: EntryKind, payload: Bytes) -> Result<Position, LogError>;

    /// Delivers every durable entry with index ≥ `from` in order: first those
    /// that are there, then [`LogEvent::CaughtUp`], then new ones as they
    /// become durable. The channel is bounded; a slow subscriber holds back
    /// nobody else, since entries are read again from disk. `from` 0 and 1
    /// both mean the first. Must be called inside a tokio runtime.
    fn subscribe(&self, from: u64) -> mpsc::Receiver<LogEvent>;

    /// Says that entries ≤ `index` are no longer needed. When it returns this
    /// is durable, and segments that no partition needs are reused. An index
    /// beyond the last entry means all.
    async fn purge(&self, index: u64) -> Result<(), LogError>;

    /// Bytes on this disk of the entries that are not purged.
    fn held_bytes(&self) -> u64;

    /// An index that no append acknowledged before this call exceeds: whoever
    /// has applied up to it sees all of them.
    async fn read_barrier(&self) -> Result<u64, LogError>;
}
