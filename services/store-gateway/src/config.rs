//! What can be set about a store-gateway.

use serde::{Deserialize, Serialize};
use varve_bucket::CacheConfig;
use varve_runtime::config::ByteSize;

/// Settings of a store-gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The cache of block files in memory and on local disk.
    pub cache: CacheConfig,
    /// Memory for what is parsed and decoded of blocks that were asked for
    /// lately: footers, the tables of series of those asked for again (some
    /// 100 bytes a series), and the labels of the series that were found, once
    /// for all blocks.
    pub reader_memory: ByteSize,
    /// Blocks of one request that are read at once, by requests of labels and
    /// series four times as many. More answer sooner from a distant bucket and
    /// hold more memory.
    pub blocks_in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache: CacheConfig::default(),
            reader_memory: ByteSize(256 << 20),
            blocks_in_flight: 8,
        }
    }
}

impl Config {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the setting.
    pub fn validate(&self) -> Result<(), String> {
        if self.blocks_in_flight == 0 {
            return Err("store_gateway.blocks_in_flight must be at least 1".to_owned());
        }
        Ok(())
    }
}
