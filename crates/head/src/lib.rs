//! Recent data: series map, in-memory chunks, apply, seal, replay, and cutting a range into a block.
//!
//! A [`Partition`] applies its log in order and holds several tenants. What
//! an entry does depends on the entries before it alone: no clock, no
//! configuration. docs/formats/seal.md draws its files and log entries.

mod config;
mod cut;
mod error;
mod metrics;
mod outcome;
mod partition;
mod read;

pub use config::{AppendLimits, HeadConfig};
pub use cut::{Cut, CutKey};
pub use error::{HeadError, Result};
pub use metrics::Metrics;
pub use outcome::{AppendOutcome, Refusal, RefusalReason};
pub use partition::{Partition, PartitionStats, TenantStats};
pub use read::{CutRead, CutSeries, FamilyMetadata, HeadAnswer, HeadRead, SeriesExemplars};
