//! Fetching the rows of `samples.parquet` that belong to matching series, and
//! the timestamp vectors that they share.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use bytes::Bytes;
use futures::lock::Mutex;
use futures::stream::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter, RowGroupSelection, RowSelection};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use varve_model::TimeRange;

use super::column::{Blobs, ints, longs};
use super::kept::{SampleRow, SampleTable};
use super::pages;
use super::rows::Found;
use super::source::{Source, batches, from_parquet};
use crate::schema::{INLINE, SAMPLES, TIMESTAMPS};
use crate::{BlockError, ChunkKind, EncodedChunk, EncodedSeries, Result, chunk};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1024;
/// Bytes of timestamp vectors that a reader of a block remembers.
const MAX_VECTORS: usize = 1 << 20;

/// Reads chunks: the two files, and the order that the block has in merges.
#[derive(Clone)]
pub(super) struct Chunks {
    pub(super) samples: Source,
    /// Absent when the block shares no vector.
    pub(super) timestamps: Option<Source>,
    /// Those vectors that were read before.
    pub(super) vectors: Arc<Mutex<Vectors>>,
    pub(super) term: u64,
    pub(super) index: u64,
}

/// Vectors by id: how many times, and the coded times.
#[derive(Default)]
pub(super) struct Vectors {
    by_id: HashMap<i32, (u32, Bytes)>,
    bytes: usize,
}

/// The coded parts of a row.
struct Parts {
    times: Bytes,
    values: Bytes,
    starts: Bytes,
}

/// Series to which the chunks of their rows are added.
struct Joined(Vec<EncodedSeries>);

impl Joined {
    fn new(found: Vec<Found>) -> Self {
        let empty = |f: Found| EncodedSeries { labels: f.labels, chunks: Vec::new() };
        Self(found.into_iter().map(empty).collect())
    }

    fn push(&mut self, at: usize, chunk: EncodedChunk) {
        let chunks = &mut self.0[at].chunks;
        if chunks.is_empty() {
            // Most series have one row in a block.
            chunks.reserve_exact(1);
        }
        chunks.push(chunk);
    }

    /// Those that have any.
    fn finish(mut self) -> Vec<EncodedSeries> {
        self.0.retain(|s| !s.chunks.is_empty());
        self.0
    }
}

impl Chunks {
    /// The chunks of `found` that overlap `range`; series without any are
    /// left out. `filter` says whether some chunk may not overlap.
    pub(super) async fn read(
        &self,
        found: Vec<Found>,
        range: TimeRange,
        filter: bool,
    ) -> Result<Vec<EncodedSeries>> {
        let rows = self.rows(&found, range, filter).await?;
        let mut shared = self.shared(rows.iter().map(|(_, row, _)| row.ts_id)).await?;
        let mut out = Joined::new(found);
        for (at, row, parts) in rows {
            out.push(at, self.chunk(&row, parts, &mut shared)?);
        }
        Ok(out.finish())
    }

    /// The same with the rows' places, times and bounds at hand: only the
    /// samples are read, and times and start timestamps where there are any.
    pub(super) async fn read_kept(
        &self,
        found: Vec<Found>,
        table: &SampleTable,
        range: TimeRange,
    ) -> Result<Vec<EncodedSeries>> {
        let (mut wanted, mut rows): (Vec<(usize, SampleRow)>, Vec<Range<u64>>) = Default::default();
        for (at, one) in found.iter().enumerate() {
            for (number, row) in table.of(one, range)? {
                if row.series != one.series {
                    let detail = format!("row {number} belongs to series {}", row.series);
                    return Err(BlockError::corrupt(SAMPLES, detail));
                }
                wanted.push((at, row));
                match rows.last_mut() {
                    Some(last) if last.end == number => last.end += 1,
                    _ => rows.push(number..number + 1),
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut shared = self.shared(wanted.iter().map(|(_, row)| row.ts_id)).await?;
        let inline = wanted.iter().any(|(_, row)| row.ts_id == INLINE);
        let starts = wanted.iter().any(|(_, row)| row.starts);
        let columns = [Some("chunk"), inline.then_some("times"), starts.then_some("starts")];
        let [values, times, starts] = pages::read(&self.samples, columns, &rows).await?;
        let mut out = Joined::new(found);
        for (i, (at, row)) in wanted.into_iter().enumerate() {
            let parts = Parts { times: times.get(i), values: values.get(i), starts: starts.get(i) };
            out.push(at, self.chunk(&row, parts, &mut shared)?);
        }
        Ok(out.finish())
    }

    /// Rows whose coded bytes are about `bytes`.
    pub(super) fn rows_for(&self, bytes: u64) -> u64 {
        let metadata = self.samples.metadata.metadata();
        let groups = metadata.row_groups().iter();
        let size: u64 = groups.map(|g| u64::try_from(g.compressed_size()).unwrap_or(0)).sum();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        (bytes / (size / rows.max(1)).max(1)).clamp(64, 16 << 10)
    }

    async fn rows(
        &self,
        found: &[Found],
        range: TimeRange,
        filter: bool,
    ) -> Result<Vec<(usize, SampleRow, Parts)>> {
        let ranges: Vec<Range<u64>> =
            found.iter().map(|f| f.row as u64..f.row as u64 + f.rows as u64).collect();
        let positions: HashMap<i64, usize> =
            found.iter().enumerate().map(|(i, f)| (f.series, i)).collect();
        let selections = group_selections(&self.samples, &ranges)?;
        let metadata = self.samples.metadata.clone();
        let described = metadata.parquet_schema();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            self.samples.clone(),
            metadata.clone(),
        )
        .with_batch_size(BATCH_ROWS)
        .with_row_group_selections(selections);
        if filter {
            let mask = ProjectionMask::columns(described, ["min_time", "max_time"]);
            let keep = move |batch: RecordBatch| {
                overlapping(&batch, range).map_err(|e| ArrowError::ExternalError(Box::new(e)))
            };
            builder = builder
                .with_row_filter(RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, keep))]))
                .with_max_predicate_cache_size(0);
        }
        let mask = ProjectionMask::columns(
            described,
            [
                "series", "kind", "count", "min_time", "max_time", "ts_id", "ts_first", "times",
                "chunk", "starts",
            ],
        );
        let stream = builder.with_projection(mask).build().map_err(|e| from_parquet(SAMPLES, e))?;
        let mut stream = batches(SAMPLES, stream);
        let mut out = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            self.parse(&batch, &positions, range, &mut out)?;
        }
        Ok(out)
    }

    fn parse(
        &self,
        batch: &RecordBatch,
        positions: &HashMap<i64, usize>,
        range: TimeRange,
        out: &mut Vec<(usize, SampleRow, Parts)>,
    ) -> Result<()> {
        let (series, kind) = (longs(SAMPLES, batch, "series")?, ints(SAMPLES, batch, "kind")?);
        let (min, max) = (longs(SAMPLES, batch, "min_time")?, longs(SAMPLES, batch, "max_time")?);
        let (count, ts_id) = (ints(SAMPLES, batch, "count")?, ints(SAMPLES, batch, "ts_id")?);
        let ts_first = ints(SAMPLES, batch, "ts_first")?;
        let times = Blobs::new(SAMPLES, batch, "times")?;
        let values = Blobs::new(SAMPLES, batch, "chunk")?;
        let starts = Blobs::new(SAMPLES, batch, "starts")?;
        for i in 0..series.len() {
            let at = *positions.get(&series[i]).ok_or_else(|| {
                let detail = format!("a row of series {} has another series' place", series[i]);
                BlockError::corrupt(SAMPLES, detail)
            })?;
            let row = SampleRow {
                series: series[i],
                min_time: min[i],
                max_time: max[i],
                kind: kind[i],
                count: count[i],
                ts_id: ts_id[i],
                ts_first: ts_first[i],
                starts: false,
            };
            let parts = Parts { times: times.get(i), values: values.get(i), starts: starts.get(i) };
            if row.overlaps(range) {
                out.push((at, row, parts));
            }
        }
        Ok(())
    }

    /// The chunk of a row, checked.
    fn chunk(&self, row: &SampleRow, parts: Parts, shared: &mut Shared) -> Result<EncodedChunk> {
        let bad = |what: &str| {
            BlockError::corrupt(SAMPLES, format!("a row of series {} has {what}", row.series))
        };
        let kind = match row.kind {
            0 => ChunkKind::Float,
            1 => ChunkKind::Histogram,
            _ => return Err(bad("an unknown kind")),
        };
        let count = u32::try_from(row.count)
            .ok()
            .filter(|n| (1..=chunk::MAX_CHUNK_SAMPLES).contains(&(*n as usize)))
            .ok_or_else(|| bad("an impossible count"))?;
        let first = u32::try_from(row.ts_first).map_err(|_| bad("a negative ts_first"))?;
        let Parts { times, values, starts } = parts;
        let times = match row.ts_id {
            INLINE => times,
            // The row's bounds say which of the times are its own.
            id => shared.times(id, u64::from(first) + u64::from(count))?,
        };
        let (min_time, max_time) = (row.min_time, row.max_time);
        let (term, index) = (self.term, self.index);
        Ok(EncodedChunk { kind, min_time, max_time, count, times, values, starts, term, index })
    }

    /// The vectors with these ids that live in `timestamps.parquet`.
    async fn shared(&self, ids: impl Iterator<Item = i32>) -> Result<Shared> {
        let (mut wanted, mut last) = (BTreeSet::new(), INLINE);
        for id in ids.filter(|id| *id != INLINE) {
            // Neighbours often share theirs.
            if id != last {
                wanted.insert(id);
                last = id;
            }
        }
        if wanted.is_empty() {
            return Ok(Shared::default());
        }
        let missing = || BlockError::corrupt(TIMESTAMPS, "it is missing");
        let source = self.timestamps.as_ref().ok_or_else(missing)?;
        Ok(Shared { all: self.vectors(source, wanted).await?, last: None })
    }
}

/// Vectors that rows share, by id, with their lengths.
#[derive(Default)]
struct Shared {
    all: HashMap<i32, (u32, Bytes)>,
    /// The one that was asked for last.
    last: Option<(i32, u32, Bytes)>,
}

impl Shared {
    /// Those of a row whose times end at `end` of the vector.
    fn times(&mut self, id: i32, end: u64) -> Result<Bytes> {
        let missing = || BlockError::corrupt(TIMESTAMPS, format!("vector {id} is missing"));
        let (_, whole, bytes) = match self.last.take().filter(|(last, ..)| *last == id) {
            Some(last) => self.last.insert(last),
            None => {
                let (whole, bytes) = self.all.get(&id).ok_or_else(missing)?;
                self.last.insert((id, *whole, bytes.clone()))
            }
        };
        if end > u64::from(*whole) {
            let detail = format!("times up to {end} of {whole} in vector {id}");
            return Err(BlockError::corrupt(SAMPLES, detail));
        }
        Ok(bytes.clone())
    }
}

impl Chunks {
    /// The vectors with these ids, fetching those that are not at hand.
    async fn vectors(
        &self,
        source: &Source,
        ids: BTreeSet<i32>,
    ) -> Result<HashMap<i32, (u32, Bytes)>> {
        let mut found = HashMap::new();
        let mut missing = BTreeSet::new();
        let known = self.vectors.lock().await;
        for id in ids {
            match known.by_id.get(&id) {
                Some(vector) => drop(found.insert(id, vector.clone())),
                None => drop(missing.insert(id)),
            }
        }
        drop(known);
        if missing.is_empty() {
            return Ok(found);
        }
        let fetched = read_vectors(source, &missing).await?;
        let mut known = self.vectors.lock().await;
        for (id, (count, bytes)) in &fetched {
            // A copy, as the bytes share the memory of a whole page.
            let bytes = Bytes::copy_from_slice(bytes);
            if known.bytes + bytes.len() > MAX_VECTORS {
                *known = Vectors::default();
            }
            known.bytes += bytes.len();
            known.by_id.insert(*id, (*count, bytes.clone()));
            found.insert(*id, (*count, bytes));
        }
        Ok(found)
    }
}

async fn read_vectors(source: &Source, ids: &BTreeSet<i32>) -> Result<HashMap<i32, (u32, Bytes)>> {
    let bad = |id: &i32| BlockError::corrupt(TIMESTAMPS, format!("vector {id} does not exist"));
    let ranges: Vec<Range<u64>> = ids
        .iter()
        .map(|id| u64::try_from(*id).map(|id| id..id + 1).map_err(|_| bad(id)))
        .collect::<Result<_>>()?;
    let selections = group_selections(source, &ranges)?;
    let stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), source.metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_row_group_selections(selections)
            .build()
            .map_err(|e| from_parquet(TIMESTAMPS, e))?;
    let mut stream = batches(TIMESTAMPS, stream);
    let mut out = HashMap::new();
    while let Some(batch) = stream.try_next().await? {
        let id = ints(TIMESTAMPS, &batch, "id")?;
        let count = ints(TIMESTAMPS, &batch, "count")?;
        let times = Blobs::new(TIMESTAMPS, &batch, "times")?;
        for i in 0..id.len() {
            let count = u32::try_from(count[i])
                .map_err(|_| BlockError::corrupt(TIMESTAMPS, "a negative count"))?;
            out.insert(id[i], (count, times.get(i)));
        }
    }
    Ok(out)
}

fn overlapping(batch: &RecordBatch, range: TimeRange) -> Result<BooleanArray> {
    let (min, max) = (longs(SAMPLES, batch, "min_time")?, longs(SAMPLES, batch, "max_time")?);
    let keep = min.iter().zip(max).map(|(min, max)| range.start < *max && *min <= range.end);
    Ok(BooleanArray::from(keep.collect::<Vec<_>>()))
}

/// Splits sorted, disjoint ranges of a file's rows by row group.
pub(super) fn group_selections(
    source: &Source,
    ranges: &[Range<u64>],
) -> Result<Vec<RowGroupSelection>> {
    let mut out = Vec::new();
    let (mut start, mut next) = (0u64, 0);
    for (g, group) in source.metadata.metadata().row_groups().iter().enumerate() {
        let end = start + u64::try_from(group.num_rows()).unwrap_or(0);
        let mut local: Vec<Range<usize>> = Vec::new();
        while let Some(range) = ranges.get(next).filter(|r| r.start < end) {
            let part = range.start.max(start)..range.end.min(end);
            if part.start < part.end {
                local.push((part.start - start) as usize..(part.end - start) as usize);
            }
            if range.end > end {
                break;
            }
            next += 1;
        }
        if local.windows(2).any(|w| w[0].end > w[1].start) {
            return Err(BlockError::corrupt(source.name, "rows of two series overlap"));
        }
        if !local.is_empty() {
            let rows = (end - start) as usize;
            let selection = RowSelection::from_consecutive_ranges(local.into_iter(), rows);
            out.push(RowGroupSelection::new(g, Some(selection)));
        }
        start = end;
    }
    match ranges.last() {
        Some(last) if last.end > start => {
            let detail = format!("row {} of {start} was asked for", last.end);
            Err(BlockError::corrupt(source.name, detail))
        }
        _ => Ok(out),
    }
}
