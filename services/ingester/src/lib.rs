//! Hosts ingest partitions: log, head, sealing, shipping, recent reads.
//!
//! ```text
//! distributor ─ Ingest.Append ─▶ log ─▶ head ─ seal ─▶ files
//! querier ─ Store.Select ─▶ head          └─ cut ─▶ block ─▶ bucket ─▶ catalog ─▶ Shipped
//! ```
//!
//! What is acknowledged is in the log; what is in the catalog leaves the head.
//! Every step between can be cut off at any moment and is taken up again at
//! the next start (`ship.rs`).

mod admission;
mod append;
mod build;
mod config;
mod disk;
mod error;
mod grpc;
mod lookups;
mod metrics;
mod relief;
mod scope;
mod seal;
mod select;
mod ship;
mod start;

pub use config::Config;
pub use error::IngesterError;
pub use start::{Deps, Ingester, Running, start};
