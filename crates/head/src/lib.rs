//! Recent data: series map, in-memory chunks, apply, seal, replay, and cutting a range into a block.
//!
//! A [`Partition`] applies its log in order and holds several tenants. What
//! an entry does depends on the entries before it alone: no clock, no
//! configuration. docs/formats/seal.md draws its files and log entries.

mod append;
mod buffer;
mod chunk;
mod codec;
mod config;
mod cut;
mod cut_read;
mod dictionary;
mod disk_use;
mod entry;
mod error;
mod exemplars;
mod file;
mod index;
mod kind;
mod metrics;
mod offered;
mod outcome;
mod partition;
mod postings;
mod read;
mod replay;
mod seal;
mod sealed;
mod select;
mod series;
mod series_map;
mod state;
mod stats;
mod stream;
mod task;
mod tenant;
#[cfg(test)]
mod tests;
mod waiters;
mod windows;

pub use config::{AppendLimits, HeadConfig};
pub use cut::{Cut, CutKey};
pub use cut_read::{CutRead, CutSeries};
pub use disk_use::DiskUse;
pub use error::{HeadError, Result};
pub use metrics::Metrics;
pub use outcome::{AppendOutcome, Refusal, RefusalReason};
pub use partition::Partition;
pub use read::{FamilyMetadata, HeadAnswer, SeriesExemplars};
pub use select::HeadRead;
pub use stats::{PartitionStats, TenantStats};
