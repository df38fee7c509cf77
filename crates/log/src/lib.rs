//! The segment log of ingest partitions: writer thread, recovery, and the disk it stands on.
//!
//! A partition's truth is its log ([`PartitionLog`]); [`SegmentLog`] keeps the
//! logs of all partitions of one disk in shared segment files
//! (docs/formats/log.md). Every file access goes through [`Disk`], so that a
//! seeded simulation can lose whatever was not synced.

mod disk;
mod entry;
mod error;
mod metrics;
mod partition;
mod segment;

pub use disk::{
    Crash, Disk, DiskFile, PreparedFile, RealDisk, SimDisk, Space, Stat, Unsynced, is_full,
    prepare_file, read_file, write_file_atomic,
};
pub use entry::{Entry, EntryKind, Position};
pub use error::LogError;
pub use metrics::Metrics;
pub use partition::{LogEvent, PartitionLog};
pub use segment::{SegmentLog, SegmentLogConfig};
