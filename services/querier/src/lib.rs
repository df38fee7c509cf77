//! The PromQL endpoint over heads and blocks.
//!
//! ```text
//! HTTP (varve-api) ─▶ Service ─ admission ─▶ Engine ─ Session ─▶ ingesters, store-gateways
//! ```
//!
//! Stateless. A query runs on a blocking thread, so that evaluation never
//! holds up requests; it ends when its time is up, when its client leaves, or
//! when it asks for more memory than it may have.

mod admission;
mod config;
mod features;
mod held;
mod lookups;
mod metrics;
mod query_log;
mod run;
mod start;

pub use config::Config;
pub use features::{Features, UnknownFeature};
pub use start::{Service, StartError, start};
