//! Serves series out of blocks in the bucket, through byte-bounded caches.
//!
//! ```text
//! querier ── Store.Select(blocks) ─▶ Gateway ─ Readers ─ BlockReader ─▶ FileCache ─▶ bucket
//! ```
//!
//! A gateway owns nothing: any of them can read any block, and which one is
//! asked is only a hint to its cache. It keeps no list of blocks, so it is
//! ready as soon as it listens, however many there are.

mod config;
mod grpc;
mod lookups;
mod metrics;
mod readers;
mod scope;
mod select;
mod side_by_side;
mod start;

pub use config::Config;
pub use start::{Gateway, start};
