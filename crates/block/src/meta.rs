//! `block.json`: what a block is, and how to check that its files are whole.
//!
//! It is written last, on one line, and read by tools, by the rebuild of a
//! catalog and by people; a query never needs it, because the catalog carries
//! a [`BlockEntry`].
//!
//! [`BlockEntry`]: crate::BlockEntry

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_model::TimeRange;

use crate::{BlockError, Result};

/// Name of the meta file inside a block.
pub const BLOCK_JSON: &str = "block.json";
/// The newest block format that this program reads, and the one it writes.
pub const BLOCK_VERSION: u32 = 2;
/// The most bytes a `block.json` may have.
const MAX_BLOCK_JSON: usize = 16 << 20;

/// One file of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Size in bytes.
    pub size: u64,
    /// CRC-32C of the whole file.
    pub crc32c: u32,
    /// Bytes at the end of the file that hold its page indexes and footer: one
    /// read of them is all a reader needs before it can go to the pages.
    pub footer_len: u64,
    /// CRC-32C of these last `footer_len` bytes.
    pub footer_crc32c: u32,
}

/// How much a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCounts {
    /// Series.
    pub series: u64,
    /// Samples, floats and histograms together.
    pub samples: u64,
    /// Those samples that are histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Rows of `samples.parquet`.
    pub chunks: u64,
}

/// The content of `block.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// Format version, see [`BLOCK_VERSION`].
    pub version: u32,
    /// The block's identity and the name of its folder.
    #[serde(with = "crate::text::ulid")]
    pub id: Ulid,
    /// Whose data it is.
    pub tenant: String,
    /// Samples lie in this (start, end].
    #[serde(with = "crate::text::range")]
    pub range: TimeRange,
    /// Lowest series hash that the block may hold.
    pub min_hash: u64,
    /// Highest series hash that the block may hold (inclusive).
    pub max_hash: u64,
    /// 0 for a block of an ingester, one more than its highest source's else.
    pub level: u32,
    /// Milliseconds between samples of a rollup; 0 = raw.
    pub resolution: i64,
    /// The blocks that it was made from, all levels down; none for level 0.
    #[serde(with = "crate::text::ulids", default)]
    pub sources: Vec<Ulid>,
    /// With `index`, where its cut stands in the partition's log.
    pub term: u64,
    /// See `term`.
    pub index: u64,
    /// The ingest partition that cut it.
    pub partition: u32,
    /// Number of the cut within (partition, window), from 0.
    pub cut: u64,
    /// When it was written, in milliseconds since the epoch.
    pub created_ms: i64,
    /// How much it holds.
    pub counts: BlockCounts,
    /// Time of the first sample, in milliseconds since the epoch.
    pub min_time: i64,
    /// Time of the last sample; before `min_time` when there is none.
    pub max_time: i64,
    /// First metric name in byte order; empty when a series has none.
    pub min_name: String,
    /// Last metric name in byte order.
    pub max_name: String,
    /// Its files but `block.json` itself.
    pub files: BTreeMap<String, FileMeta>,
}

impl BlockMeta {
    /// The bytes of `block.json`.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| BlockError::Encode { file: BLOCK_JSON.to_owned(), detail: e.to_string() })
    }

    /// Parses `block.json`. A newer format is [`BlockError::Version`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        if bytes.len() > MAX_BLOCK_JSON {
            let detail = format!("{} bytes, the limit is {MAX_BLOCK_JSON}", bytes.len());
            return Err(BlockError::corrupt(BLOCK_JSON, detail));
        }
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|e| BlockError::corrupt(BLOCK_JSON, e))?;
        if version > BLOCK_VERSION {
            return Err(BlockError::Version { found: version, supported: BLOCK_VERSION });
        }
        serde_json::from_slice(bytes).map_err(|e| BlockError::corrupt(BLOCK_JSON, e))
    }
}
