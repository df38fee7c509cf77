//! What a log holds: entries of one of a few kinds at consecutive positions.
//!
//! The numbers of the kinds are part of the format (docs/formats/log.md).

use bytes::Bytes;

/// Where an entry stands in its partition's log. Ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Of the leader that wrote it; always 1 in a log with one replica.
    pub term: u64,
    /// Consecutive from 1.
    pub index: u64,
}

/// What an entry's payload is. The number is the byte on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Samples: a `varve_wire::batch::WriteBatch`.
    Batch = 1,
    /// Chunks up to here are cut to immutable files.
    Seal = 2,
    /// A window is cut: samples for it after this belong to its next cut.
    Cut = 3,
    /// The blocks of a cut are committed to the catalog.
    Shipped = 4,
    /// Configuration that apply depends on.
    Config = 5,
}

impl EntryKind {
    /// The kind with this number on disk.
    pub fn from_u8(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Batch,
            2 => Self::Seal,
            3 => Self::Cut,
            4 => Self::Shipped,
            5 => Self::Config,
            _ => return None,
        })
    }
}

/// One durable entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The partition it belongs to.
    pub partition: u32,
    /// Term of the leader that wrote it.
    pub term: u64,
    /// Position in the partition's log, consecutive from 1.
    pub index: u64,
    /// What the payload is.
    pub kind: EntryKind,
    /// The bytes as they were appended.
    pub payload: Bytes,
}

impl Entry {
    /// Where the entry stands.
    pub fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }
}
