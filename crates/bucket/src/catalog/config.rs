//! The times that a catalog lives by.

use serde::{Deserialize, Serialize};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Settings of a catalog. All processes on one bucket must agree on `grace_ms`
/// and `orphan_ms`: one deletes by them what another still counts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// How long a version that was seen to be the newest may be taken for it
    /// without asking the bucket, in milliseconds. Higher saves one small
    /// request per query; queries see new blocks later.
    pub fresh_ms: i64,
    /// How long a reader may hold one version, in milliseconds. Must exceed
    /// `fresh_ms`.
    pub pin_ms: i64,
    /// How long a version, and the files that only it and older ones name,
    /// stay after a newer one replaced it, in milliseconds. Must exceed
    /// `pin_ms` by more than the clocks of the processes differ.
    pub grace_ms: i64,
    /// The age from which files that no version names are deleted, in
    /// milliseconds. A block is committed only while younger than half of it.
    pub orphan_ms: i64,
    /// How long a commit is tried again after lost races, in milliseconds.
    pub commit_ms: i64,
    /// How long it is remembered that a cut was committed after its blocks
    /// have left the catalog, in milliseconds.
    pub cut_memory_ms: i64,
    /// Memory for leaves of all tenants, in bytes.
    pub leaf_cache_bytes: usize,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            fresh_ms: 1_000,
            pin_ms: 15 * MINUTE_MS,
            grace_ms: HOUR_MS,
            orphan_ms: 24 * HOUR_MS,
            commit_ms: 2 * MINUTE_MS,
            cut_memory_ms: 30 * 24 * HOUR_MS,
            leaf_cache_bytes: 64 << 20,
        }
    }
}

impl CatalogConfig {
    /// Says what is wrong with the values, if anything.
    pub fn validate(&self) -> Result<(), String> {
        if self.pin_ms <= 0 || self.grace_ms <= self.pin_ms {
            return Err(format!(
                "grace_ms {} must be larger than pin_ms {}",
                self.grace_ms, self.pin_ms
            ));
        }
        if self.fresh_ms >= self.pin_ms {
            return Err(format!(
                "fresh_ms {} must be smaller than pin_ms {}",
                self.fresh_ms, self.pin_ms
            ));
        }
        if self.orphan_ms < 4 * self.grace_ms {
            return Err(format!(
                "orphan_ms {} must be at least 4 times grace_ms {}",
                self.orphan_ms, self.grace_ms
            ));
        }
        Ok(())
    }
}
