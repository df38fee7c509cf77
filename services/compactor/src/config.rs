//! What can be set about a compactor.

use serde::{Deserialize, Serialize};
use varve_runtime::config::HumanDuration;

/// Settings of a compactor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often every tenant is looked at. Blocks that are past retention
    /// stay readable until then.
    pub interval: HumanDuration,
    /// Tenants that are looked at together.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: HumanDuration::from_secs(15 * 60), concurrency: 4 }
    }
}
