//! Everything that a reader finds: heads by select, blocks of the newest
//! version through the block reader, both through the merge.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tonic::Request;
use ulid::Ulid;
use varve_block::merge::merge_chunks;
use varve_block::{BlockEntry, BlockError, BlockFiles, BlockReader, EncodedChunk, EncodedSeries};
use varve_bucket::{Bucket, Catalog, paths};
use varve_ingester::Ingester;
use varve_model::{Labels, Matcher, TenantId, TimeRange};
use varve_query::frames::read_frame;
use varve_wire::v1::store_server::Store;
use varve_wire::{convert, v1};

use crate::model::{Key, Value};

/// What is there.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) samples: BTreeMap<Key, Value>,
    /// The newest version of each tenant's catalog.
    pub(crate) versions: BTreeMap<usize, u64>,
    pub(crate) blocks: BTreeSet<Ulid>,
}

/// Blocks that were read before, with a hash of their files.
#[derive(Default)]
pub(crate) struct Remembered(BTreeMap<Ulid, (u64, Vec<EncodedSeries>)>);

fn all() -> Vec<Matcher> {
    vec![Matcher::equal("job", "sim")]
}

/// Reads all of everything.
pub(crate) async fn read(
    ingester: &Ingester,
    catalog: &Catalog,
    tenants: &[TenantId],
    remembered: &mut Remembered,
) -> Result<Found, String> {
    let mut found = Found::default();
    for (number, tenant) in tenants.iter().enumerate() {
        // The heads first: what they let go of meanwhile is in the catalog.
        let mut chunks: BTreeMap<Labels, Vec<EncodedChunk>> = BTreeMap::new();
        let released_at = head(ingester, tenant, &mut chunks).await?;
        let newest = catalog.refresh(tenant).await.map_err(|e| format!("catalog: {e}"))?;
        if newest.version() < released_at {
            let version = newest.version();
            return Err(format!("a head refers to version {released_at}, newest is {version}"));
        }
        found.versions.insert(number, newest.version());
        let blocks = newest.all_blocks().await.map_err(|e| format!("leaves: {e}"))?;
        let mut cuts = BTreeSet::new();
        for entry in blocks {
            let meta = block_meta(catalog.bucket(), tenant, &entry).await?;
            if !cuts.insert((meta.partition, meta.range, meta.cut)) {
                return Err(format!("the cut of block {} is listed twice", entry.id));
            }
            found.blocks.insert(entry.id);
            for series in block(catalog.bucket(), tenant, entry, remembered).await? {
                chunks.entry(series.labels).or_default().extend(series.chunks);
            }
        }
        for (labels, chunks) in chunks {
            let merged = merge_chunks(&chunks, TimeRange::ALL);
            let (floats, histograms) = merged.map_err(|e| format!("{labels}: {e}"))?;
            let label = |name| labels.get(name).parse().map_err(|_| format!("{labels}: no {name}"));
            let (partition, series) = (label("partition")?, label("series")?);
            let floats = floats.times.iter().zip(&floats.values);
            let floats = floats.map(|(time, value)| (*time, Value::Float(value.to_bits())));
            let histograms = histograms.times.iter().zip(&histograms.values);
            let histograms = histograms.map(|(t, h)| (*t, Value::Histogram(h.sum.to_bits())));
            for (time, value) in floats.chain(histograms) {
                if found.samples.insert((number, partition, series, time), value).is_some() {
                    return Err(format!("{labels}: two values at {time}"));
                }
            }
        }
    }
    Ok(found)
}

async fn head(
    ingester: &Ingester,
    tenant: &TenantId,
    chunks: &mut BTreeMap<Labels, Vec<EncodedChunk>>,
) -> Result<u64, String> {
    let request = v1::SelectRequest {
        scope: Some(convert::scope(tenant, TimeRange::new(i64::MIN, i64::MAX))),
        matchers: convert::matchers(&all()),
    };
    let frames = Store::select(ingester, Request::new(request)).await;
    let mut frames = frames.map_err(|e| format!("select: {e}"))?.into_inner();
    let mut released_at = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|e| format!("select: {e}"))?;
        let part = read_frame(frame).map_err(|e| format!("frame: {e}"))?;
        released_at = part.released_at;
        for series in part.series {
            chunks.entry(series.labels).or_default().extend(series.chunks);
        }
    }
    Ok(released_at)
}

async fn block_meta(
    bucket: &Bucket,
    tenant: &TenantId,
    entry: &BlockEntry,
) -> Result<varve_block::BlockMeta, String> {
    let path = paths::block_file(tenant, entry.id, varve_block::BLOCK_JSON);
    let bytes = bucket.get(&path, 1 << 20).await.map_err(|e| format!("block: {e}"))?;
    varve_block::BlockMeta::from_json(&bytes).map_err(|e| format!("{path}: {e}"))
}

/// The series of a block. One whose files are still the same bytes is not
/// decoded again.
async fn block(
    bucket: &Bucket,
    tenant: &TenantId,
    entry: BlockEntry,
    remembered: &mut Remembered,
) -> Result<Vec<EncodedSeries>, String> {
    let id = entry.id;
    let mut files = BTreeMap::new();
    let mut hash = 0;
    for (name, file) in &entry.files {
        let path = paths::block_file(tenant, id, name);
        let bytes = bucket.get(&path, file.size).await.map_err(|e| format!("live file: {e}"))?;
        hash = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, hash);
        files.insert(name.clone(), bytes);
    }
    if let Some((same, series)) = remembered.0.get(&id)
        && *same == hash
    {
        return Ok(series.clone());
    }
    let reader = BlockReader::new(entry, Arc::new(Files(files)));
    let batches = reader.select(all(), TimeRange::ALL).try_concat().await;
    let series: Vec<EncodedSeries> = batches.map_err(|e| format!("block {id}: {e}"))?;
    remembered.0.insert(id, (hash, series.clone()));
    Ok(series)
}

/// The files of a block as the bucket gave them.
struct Files(BTreeMap<String, Bytes>);

#[async_trait]
impl BlockFiles for Files {
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes, BlockError> {
        let bytes = self.0.get(file).cloned().unwrap_or_default();
        let range = range.start as usize..range.end as usize;
        if range.end > bytes.len() || range.start > range.end {
            return Err(BlockError::corrupt(file, format!("range {range:?} of {}", bytes.len())));
        }
        Ok(bytes.slice(range))
    }
}
