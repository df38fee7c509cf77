//! What is kept decoded of a block that is asked again and again: the columns
//! of labels, the label sets that were found, and what `samples.parquet` says of
//! its rows besides the samples.
//!
//! Decoding these columns costs a query of few series more than all else, as
//! every column begins with a decompressor of its own. Reading them whole
//! costs a distant bucket a few requests, so a block's first select does not.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::{Array, BinaryArray, RecordBatch};
use futures::stream::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use varve_model::{Labels, Matcher, TimeRange};

use super::column::{Coded, column, ints, longs};
use super::pool::LabelPool;
use super::prune::select_rows;
use super::rows::{Found, LabelRows, Places, Wanted};
use super::scan::{Plan, Test};
use super::source::{Source, batches, from_parquet};
use crate::schema::{LABEL_PREFIX, REST, SAMPLES, SERIES};
use crate::{BlockError, Result};

/// Rows of a batch of labels: what a select looks through at least.
const SERIES_ROWS: usize = 1024;
/// Rows of samples that are decoded at a time.
const SAMPLE_ROWS: usize = 4096;

/// Both tables of a block.
pub(super) struct Kept {
    pub(super) series: SeriesTable,
    pub(super) samples: SampleTable,
}

/// The rows of `series.parquet`.
pub(super) struct SeriesTable {
    source: Source,
    /// By row group.
    groups: Vec<Vec<SeriesRows>>,
    memory: AtomicUsize,
    pool: Arc<LabelPool>,
}

/// Some rows of a group.
struct SeriesRows {
    /// The first one's number in the group.
    first: usize,
    batch: RecordBatch,
    /// The labels of those rows that were found before.
    labels: OnceLock<Box<[OnceLock<Labels>]>>,
}

/// One row of `samples.parquet`.
#[derive(Clone, Copy)]
pub(super) struct SampleRow {
    pub(super) series: i64,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) kind: i32,
    pub(super) count: i32,
    pub(super) ts_id: i32,
    pub(super) ts_first: i32,
    /// Whether it has start timestamps.
    pub(super) starts: bool,
}

impl SampleRow {
    pub(super) fn overlaps(&self, range: TimeRange) -> bool {
        range.start < self.max_time && self.min_time <= range.end
    }
}

/// The rows of `samples.parquet`, without their samples.
pub(super) struct SampleTable(Vec<SampleRow>);

impl Kept {
    /// Reads both.
    pub(super) async fn read(
        series: &Source,
        samples: &Source,
        pool: Arc<LabelPool>,
    ) -> Result<Self> {
        let (series, samples) =
            futures::try_join!(SeriesTable::read(series, pool), SampleTable::read(samples))?;
        Ok(Self { series, samples })
    }

    /// Bytes of memory behind it, less what is in the pool.
    pub(super) fn memory(&self) -> usize {
        self.series.memory.load(Ordering::Relaxed) + self.samples.0.len() * size_of::<SampleRow>()
    }
}

impl SeriesTable {
    async fn read(source: &Source, pool: Arc<LabelPool>) -> Result<Self> {
        let mut groups = Vec::new();
        let (mut memory, mut dictionaries) = (0, HashSet::new());
        for group in 0..source.metadata.metadata().num_row_groups() {
            let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(
                source.clone(),
                source.metadata.clone(),
            )
            .with_batch_size(SERIES_ROWS)
            .with_row_groups(vec![group])
            .build()
            .map_err(|e| from_parquet(SERIES, e))?;
            let mut stream = batches(SERIES, stream);
            let (mut kept, mut first) = (Vec::new(), 0);
            while let Some(batch) = stream.try_next().await? {
                for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                    if field.name().starts_with(LABEL_PREFIX) || field.name() == REST {
                        let coded = Coded::new(SERIES, array)?;
                        memory += size_of_val(coded.keys);
                        if dictionaries.insert(Arc::as_ptr(coded.values).cast::<()>().addr()) {
                            memory += coded.values.get_array_memory_size();
                        }
                    } else {
                        memory += array.get_array_memory_size();
                    }
                }
                let rows = batch.num_rows();
                kept.push(SeriesRows { first, batch, labels: OnceLock::new() });
                first += rows;
            }
            groups.push(kept);
        }
        Ok(Self { source: source.clone(), groups, memory: memory.into(), pool })
    }

    /// The series that satisfy all matchers, in block order.
    pub(super) fn find(&self, matchers: Vec<Matcher>) -> Result<Vec<Found>> {
        let metadata = self.source.metadata.metadata();
        let plan = Plan::new(metadata, matchers, Wanted::All);
        let mut found = Vec::new();
        for (group, kept) in self.groups.iter().enumerate() {
            let Some(selection) = select_rows(metadata, group, &plan.bounded()) else { continue };
            let mut tests: Vec<Test> = plan.tests(metadata);
            let mut rows: Vec<Range<usize>> = Vec::new();
            let mut at = 0;
            for selector in selection.iter() {
                if !selector.skip {
                    rows.push(at..at + selector.row_count);
                }
                at += selector.row_count;
            }
            for some in kept {
                let SeriesRows { first, batch, .. } = some;
                let all = *first..first + batch.num_rows();
                let begun = rows.partition_point(|r| r.end <= all.start);
                let within: Vec<_> =
                    rows[begun..].iter().take_while(|r| r.start < all.end).collect();
                if within.is_empty() {
                    continue;
                }
                let mut keep = vec![false; batch.num_rows()];
                for range in within {
                    let part = range.start.max(all.start)..range.end.min(all.end);
                    keep[part.start - first..part.end - first].fill(true);
                }
                for test in &mut tests {
                    test.run(batch, &mut keep)?;
                }
                if keep.contains(&true) {
                    self.build(some, &keep, &mut found)?;
                }
            }
        }
        Ok(found)
    }

    /// Adds those rows that are to be kept. Their labels are built once.
    fn build(&self, some: &SeriesRows, keep: &[bool], found: &mut Vec<Found>) -> Result<()> {
        let places = Places::new(&some.batch)?;
        let known = some.labels.get_or_init(|| {
            self.memory.fetch_add(keep.len() * size_of::<OnceLock<Labels>>(), Ordering::Relaxed);
            keep.iter().map(|_| OnceLock::new()).collect()
        });
        let mut rows = None;
        for i in (0..keep.len()).filter(|i| keep[*i]) {
            let labels = match known[i].get() {
                Some(labels) => labels.clone(),
                None => {
                    let rows = match &mut rows {
                        Some(rows) => rows,
                        None => rows.insert(LabelRows::new(&some.batch, &Wanted::All)?),
                    };
                    let built = self.pool.share(rows.build(i)?);
                    known[i].get_or_init(|| built).clone()
                }
            };
            found.push(places.found(i, labels)?);
        }
        Ok(())
    }
}

impl SampleTable {
    async fn read(source: &Source) -> Result<Self> {
        let mask = ProjectionMask::columns(
            source.metadata.parquet_schema(),
            ["series", "kind", "count", "min_time", "max_time", "ts_id", "ts_first", "starts"],
        );
        let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(
            source.clone(),
            source.metadata.clone(),
        )
        .with_batch_size(SAMPLE_ROWS)
        .with_projection(mask)
        .build()
        .map_err(|e| from_parquet(SAMPLES, e))?;
        let mut stream = batches(SAMPLES, stream);
        let mut rows = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            let long = |name: &str| longs(SAMPLES, &batch, name);
            let int = |name: &str| ints(SAMPLES, &batch, name);
            let (series, min, max) = (long("series")?, long("min_time")?, long("max_time")?);
            let (kind, count) = (int("kind")?, int("count")?);
            let (ts_id, ts_first) = (int("ts_id")?, int("ts_first")?);
            let starts: &BinaryArray = column(SAMPLES, &batch, "starts")?;
            rows.extend((0..series.len()).map(|i| SampleRow {
                series: series[i],
                min_time: min[i],
                max_time: max[i],
                kind: kind[i],
                count: count[i],
                ts_id: ts_id[i],
                ts_first: ts_first[i],
                starts: starts.value_length(i) > 0,
            }));
        }
        rows.shrink_to_fit();
        Ok(Self(rows))
    }

    /// The rows of a series that overlap a range, with their numbers.
    pub(super) fn of(
        &self,
        found: &Found,
        range: TimeRange,
    ) -> Result<impl Iterator<Item = (u64, SampleRow)> + '_> {
        let bad = || BlockError::corrupt(SAMPLES, format!("series {} has no rows", found.series));
        let start = usize::try_from(found.row).map_err(|_| bad())?;
        let rows: Range<usize> = start..start + usize::try_from(found.rows).map_err(|_| bad())?;
        let all = self.0.get(rows).ok_or_else(bad)?;
        let numbered = (start as u64..).zip(all.iter().copied());
        Ok(numbered.filter(move |(_, row)| row.overlaps(range)))
    }
}
