//! How complete an answer is: who was asked, who answered, and which version
//! of the catalog was read.
//!
//! Reads are strict: a source that cannot answer fails the request. So an
//! answer that carries a coverage object is complete; the object says of what.

use std::collections::BTreeSet;

use serde::Serialize;

/// What one answer was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Whether every source that was asked has answered.
    pub complete: bool,
    /// The catalog version that was read; 0 = the tenant has no blocks.
    pub catalog_version: u64,
    /// Ingest partitions that were read.
    pub partitions: BTreeSet<u32>,
    /// Number of blocks that were read.
    pub blocks: u64,
    /// How often the read had to be redone because a head had released data
    /// to a version newer than the pinned one.
    pub repins: u64,
}

impl Coverage {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
