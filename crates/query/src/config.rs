//! What can be set about reads.

use serde::{Deserialize, Serialize};
use varve_runtime::config::{ByteSize, HumanDuration};

/// Limits of distributed reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// Memory that all queries of this process may hold together. Over it,
    /// the query that asks for more fails; the process stays healthy.
    pub max_memory: ByteSize,
    /// Memory that the queries of one tenant may hold together.
    pub max_memory_per_tenant: ByteSize,
    /// Memory that one query may hold.
    pub max_memory_per_query: ByteSize,
    /// How long one call to an ingester or store-gateway may take.
    pub call_timeout: HumanDuration,
    /// Samples that are decoded into one batch for the engine: what one thread
    /// works on at a time. More use more memory at once and leave the
    /// processor's cache, fewer cost more calls.
    pub batch_samples: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            max_memory: ByteSize(2 << 30),
            max_memory_per_tenant: ByteSize(2 << 30),
            max_memory_per_query: ByteSize(1 << 30),
            call_timeout: HumanDuration::from_secs(60),
            batch_samples: 1 << 16,
        }
    }
}
