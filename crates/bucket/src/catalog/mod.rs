//! The catalog: which blocks a tenant has, in immutable numbered versions.
//!
//! ```text
//! commit:  newest ─▶ apply changes ─▶ leaves ─▶ manifest v+1 if absent ─▶ floor again ─▶ hint
//! read:    hint ─▶ floor ─▶ manifest ─▶ probe v+1, v+2, v+4 … ─▶ leaves on demand
//! ```
//!
//! A version never changes once it is there, so whatever was read of it stays
//! true; what is newest is found by probing. Read on in `newest.rs` (finding),
//! `commit.rs` (writing), `gc.rs` (deleting) and, for the rules that hold them
//! together (C-1 …), `docs/formats/catalog.md`.

pub mod gc;
pub mod rebuild;

mod apply;
mod change;
mod chosen;
mod commit;
mod config;
mod error;
mod floor;
mod format;
mod gone;
mod leaves;
mod marks;
mod newest;
mod queue;
mod race;
mod scan;
mod snapshot;
mod tenant;

pub use change::{Cause, Change, Committed, CutKey, Removed};
pub use config::CatalogConfig;
pub use error::{CatalogError, Result};
pub use floor::Floor;
pub use format::{LeafRef, MaskRef};
pub use snapshot::{Pin, Snapshot};
pub use tenant::Catalog;
