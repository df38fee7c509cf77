//! Applies retention and collects garbage.
//!
//! ```text
//! every interval, each tenant: expire (a commit) ─▶ collect (deletes files)
//! ```
//!
//! Any number of compactors may run at once: expiry is an ordinary commit, and
//! a collection deletes only what the catalog's floor has let go.

mod config;
mod expire;
mod metrics;
mod start;

pub use config::Config;
pub use expire::Retention;
pub use start::{Compactor, start};
