//! Writes a block into a local directory.

use std::path::{Path, PathBuf};

use ulid::Ulid;
use varve_model::{
    Exemplar, FloatSamples, HistogramSamples, Labels, Metadata, TenantId, TimeRange,
};

use crate::{BlockEntry, BlockMeta, Result};

/// What a block is, before anything is in it. The fields mean what they mean
/// in [`BlockMeta`].
#[derive(Clone, Debug)]
pub struct BlockSpec {
    /// The block's identity.
    pub id: Ulid,
    /// Whose data it is.
    pub tenant: TenantId,
    /// Samples lie in this (start, end]; others are refused.
    pub range: TimeRange,
    /// Lowest series hash that the block may hold.
    pub min_hash: u64,
    /// Highest series hash that the block may hold (inclusive).
    pub max_hash: u64,
    /// 0 for a block of an ingester, one more than its highest source's else.
    pub level: u32,
    /// Milliseconds between samples of a rollup; 0 = raw.
    pub resolution: i64,
    /// The blocks that it is made from, all levels down.
    pub sources: Vec<Ulid>,
    /// With `index`, where its cut stands in the partition's log.
    pub term: u64,
    /// See `term`.
    pub index: u64,
    /// The ingest partition that cut it.
    pub partition: u32,
    /// Number of the cut within (partition, window), from 0.
    pub cut: u64,
    /// The present, in milliseconds since the epoch.
    pub created_ms: i64,
}

impl BlockSpec {
    /// A raw block of level 0 with all hashes, made from nothing, at (0, 0).
    pub fn new(id: Ulid, tenant: TenantId, range: TimeRange) -> Self {
        let (min_hash, max_hash) = (0, u64::MAX);
        let (level, resolution, sources, term, index, partition, cut, created_ms) =
            (0, 0, Vec::new(), 0, 0, 0, 0, 0);
        Self {
            id,
            tenant,
            range,
            min_hash,
            max_hash,
            level,
            resolution,
            sources,
            term,
            index,
            partition,
            cut,
            created_ms,
        }
    }
}

/// A block whose files lie complete in a directory, none of them fsynced.
#[derive(Clone, Debug)]
pub struct FinishedBlock {
    /// The content of `block.json`.
    pub meta: BlockMeta,
    /// What to put into the catalog.
    pub entry: BlockEntry,
    /// Name inside the block and path of every file; `block.json` is the last,
    /// and is to be uploaded last.
    pub files: Vec<(String, PathBuf)>,
}

/// Writes one block.
pub struct BlockWriter {
    spec: BlockSpec,
}

impl BlockWriter {
    /// Starts a block in `dir`, which must exist and be empty.
    pub fn create(_dir: &Path, spec: BlockSpec) -> Result<Self> {
        Ok(Self { spec })
    }

    /// Adds a series, which must come after the last one in
    /// [`crate::block_order`]. Columns without samples are fine; a series with
    /// neither samples nor exemplars is not written.
    pub fn push(
        &mut self,
        _labels: &Labels,
        _floats: FloatSamples,
        _histograms: HistogramSamples,
        _exemplars: &[Exemplar],
    ) -> Result<()> {
        Ok(())
    }

    /// Adds the metadata of a metric family; the last call for a metric wins.
    pub fn metadata(&mut self, _metric: &str, _metadata: &Metadata) {}

    /// Writes the remaining files. The caller makes them durable.
    pub fn finish(self) -> Result<FinishedBlock> {
        Err(crate::BlockError::corrupt("block", self.spec.id))
    }
}
