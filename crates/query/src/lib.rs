//! Distributed reads: one tenant's series out of heads and blocks, wherever
//! they are.
//!
//! ```text
//!            ┌─ pin the catalog's newest version
//! Session ───┤─ Select ─▶ ingesters (heads)          ─┐
//!            └─ Select ─▶ store-gateways (blocks)     ─┴─▶ merge ─▶ Series
//!                 ▲  a head released data to a newer version: pin anew, redo
//! ```
//!
//! [`Reader`] knows the cluster; a [`Session`] is one request of one tenant
//! and is what the engine reads from. [`seam`] holds the rule that makes heads
//! and blocks add up, [`frames`] the frames that processes exchange, [`near`]
//! what a process has itself.

pub mod frames;
pub mod near;
pub mod seam;
pub mod stream;

mod budget;
mod config;
mod coverage;
mod error;
mod estimate;
mod gather;
mod gathered;
mod heads;
mod lookups;
mod metrics;
mod peer;
mod select;
mod session;
mod source;
mod stores;

pub use varve_block::BlockEntry;

pub use budget::{Budgets, QueryBudget};
pub use config::QueryConfig;
pub use coverage::Coverage;
pub use error::QueryError;
pub use metrics::Metrics;
pub use session::{Reader, Session};
