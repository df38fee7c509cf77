//! Takes writes: decode, validate, limit, shard, forward to partitions.
//!
//! ```text
//! api ── Writer::write ──▶ write ─▶ plan (decode, validate, cache, shard)
//!                            │        ▼
//!                            └──▶ forward ── Partitions::append ──▶ ingesters
//! ```
//!
//! [`Distributor`] implements `varve_api::Writer`; `write.rs` is the story of
//! one request. Nothing is kept here but references of known series.

mod body;
mod cache;
mod config;
mod error;
mod forward;
mod limits;
mod metrics;
mod partitions;
mod plan;
mod rate;
mod refusal;
mod reply;
mod shard;
mod start;
#[cfg(test)]
mod tests;
mod validate;
mod write;

pub use config::Config;
pub use error::WriteError;
pub use limits::{Limits, LimitsError, LimitsPatch, Overrides, OverridesConfig};
pub use metrics::Metrics;
pub use partitions::{GrpcPartitions, Partitions};
pub use refusal::Reason;
pub use shard::subset;
pub use start::{Deps, start};
pub use write::Distributor;
