//! Scanning `series.parquet`: matchers are tried once for each dictionary
//! code, and labels are built only for the rows that match.
//!
//! Many rows are read column after column, each only where all columns before
//! it matched. Few rows are read at once with all their labels: one round trip
//! to the bucket is worth more than their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, RowFilter, RowGroupSelection,
};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::ParquetMetaData;
use varve_model::{METRIC_NAME, MatchOp, Matcher};

use super::column::Coded;
use super::prune::select_rows;
use super::rows::{Found, LabelRows, PLACE, Places, Wanted, parse_rest};
use super::source::{Source, batches, from_parquet};
use crate::schema::{self, LABEL_PREFIX, MAX_LABEL_COLUMNS, REST, SERIES};
use crate::{BlockError, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;
/// Up to so many rows of a row group, all columns are read at once.
const FEW_ROWS: usize = 64 << 10;

/// The schema to read a `series.parquet` with, from its columns' names.
pub(super) fn schema_of(metadata: &ParquetMetaData) -> Result<SchemaRef> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let names: Vec<&str> =
        columns.iter().filter_map(|c| c.name().strip_prefix(LABEL_PREFIX)).collect();
    if names.len() > MAX_LABEL_COLUMNS {
        let detail = format!("{} label columns, at most {MAX_LABEL_COLUMNS}", names.len());
        return Err(BlockError::corrupt(SERIES, detail));
    }
    Ok(schema::series(&names))
}

/// Streams the series that satisfy all matchers, in block order.
pub(super) fn scan(
    source: Source,
    matchers: Vec<Matcher>,
    wanted: Wanted,
) -> BoxStream<'static, Result<Vec<Found>>> {
    let metadata = Arc::clone(source.metadata.metadata());
    let plan = Arc::new(Plan::new(&metadata, matchers, wanted));
    let groups = metadata.num_row_groups();
    let open = move |group: usize| {
        let (source, plan) = (source.clone(), Arc::clone(&plan));
        async move { plan.open(source, group) }
    };
    stream::iter(0..groups).then(open).try_flatten().boxed()
}

/// What is read, and in which order.
pub(super) struct Plan {
    /// Column positions by label name.
    columns: BTreeMap<String, usize>,
    rest: usize,
    /// Matchers by column; those on names without one go to `rest`.
    predicates: Vec<(usize, Vec<Matcher>)>,
    wanted: Wanted,
}

impl Plan {
    pub(super) fn new(metadata: &ParquetMetaData, matchers: Vec<Matcher>, wanted: Wanted) -> Self {
        let mut columns = BTreeMap::new();
        let mut rest = 0;
        let described = metadata.file_metadata().schema_descr();
        for (i, column) in described.columns().iter().enumerate() {
            match column.name().strip_prefix(LABEL_PREFIX) {
                Some(name) => drop(columns.insert(name.to_owned(), i)),
                None if column.name() == REST => rest = i,
                None => {}
            }
        }
        let mut by_column: BTreeMap<usize, Vec<Matcher>> = BTreeMap::new();
        for m in matchers {
            let column = columns.get(m.name()).copied().unwrap_or(rest);
            by_column.entry(column).or_default().push(m);
        }
        let mut predicates: Vec<(usize, Vec<Matcher>)> = by_column.into_iter().collect();
        predicates.sort_by_key(|(_, matchers)| matchers.iter().map(cost).min());
        Self { columns, rest, predicates, wanted }
    }

    /// The matchers on columns of their own, by which pages are left out.
    pub(super) fn bounded(&self) -> Vec<(usize, &Matcher)> {
        self.predicates
            .iter()
            .filter(|(column, _)| *column != self.rest)
            .flat_map(|(column, matchers)| matchers.iter().map(|m| (*column, m)))
            .collect()
    }

    /// The matchers, to be tried on batches.
    pub(super) fn tests(&self, metadata: &ParquetMetaData) -> Vec<Test> {
        let described = metadata.file_metadata().schema_descr();
        let test = |(column, matchers): &(usize, Vec<Matcher>)| {
            let name = described.column(*column).name().to_owned();
            Test::new(name, *column == self.rest, matchers.clone())
        };
        self.predicates.iter().map(test).collect()
    }

    /// The matches in one row group.
    fn open(
        self: Arc<Self>,
        source: Source,
        group: usize,
    ) -> Result<BoxStream<'static, Result<Vec<Found>>>> {
        let metadata = source.metadata.clone();
        let Some(selection) = select_rows(metadata.metadata(), group, &self.bounded()) else {
            return Ok(stream::empty().boxed());
        };
        let few = selection.row_count() <= FEW_ROWS;
        let described = metadata.parquet_schema();
        let mask = |columns: Vec<usize>| ProjectionMask::leaves(described, columns);
        let mut tests = self.tests(metadata.metadata());
        let mut output: Vec<usize> = match &self.wanted {
            Wanted::All | Wanted::Labels => {
                self.columns.values().copied().chain([self.rest]).collect()
            }
            Wanted::Place => Vec::new(),
            Wanted::Only(name) => vec![self.columns.get(name).copied().unwrap_or(self.rest)],
        };
        for (i, column) in described.columns().iter().enumerate() {
            if self.wanted.place() && PLACE.contains(&column.name()) {
                output.push(i);
            }
        }
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(source, metadata.clone())
                .with_batch_size(BATCH_ROWS)
                .with_row_group_selections(vec![RowGroupSelection::new(group, Some(selection))]);
        if few {
            output.extend(self.predicates.iter().map(|(column, _)| *column));
        } else {
            let columns = self.predicates.iter().map(|(column, _)| mask(vec![*column]));
            let predicates = columns.zip(tests.drain(..)).map(|(m, t)| predicate(m, t)).collect();
            builder = builder
                .with_row_filter(RowFilter::new(predicates))
                .with_max_predicate_cache_size(0);
        }
        let stream =
            builder.with_projection(mask(output)).build().map_err(|e| from_parquet(SERIES, e))?;
        let build = move |batch: Result<RecordBatch>| {
            let batch = batch?;
            let mut keep = vec![true; batch.num_rows()];
            for test in &mut tests {
                test.run(&batch, &mut keep)?;
            }
            self.build(&batch, &keep)
        };
        Ok(batches(SERIES, stream).map(build).boxed())
    }

    /// Builds the labels of those rows of a batch that are to be kept.
    fn build(&self, batch: &RecordBatch, keep: &[bool]) -> Result<Vec<Found>> {
        let labels = LabelRows::new(batch, &self.wanted)?;
        let places = self.wanted.place().then(|| Places::new(batch)).transpose()?;
        // Of one label, each value is told about once.
        let only = matches!(self.wanted, Wanted::Only(_)).then(|| labels.only()).flatten();
        let mut told = vec![false; only.map_or(0, |column| column.values.len())];
        let mut out = Vec::new();
        for i in (0..keep.len()).filter(|i| keep[*i]) {
            if only.is_some_and(|c| std::mem::replace(&mut told[c.keys[i] as usize], true)) {
                continue;
            }
            let labels = labels.build(i)?;
            out.push(match &places {
                Some(places) => places.found(i, labels)?,
                None => Found { labels, series: 0, row: 0, rows: 0 },
            });
        }
        Ok(out)
    }
}

/// Cheap and sharp matchers first: the sorted metric name, then equality.
fn cost(m: &Matcher) -> u8 {
    match (m.name() == METRIC_NAME, m.op()) {
        (true, MatchOp::Equal) => 0,
        (false, MatchOp::Equal) if !m.matches_empty() => 1,
        (true, _) => 2,
        (false, MatchOp::Regex) if !m.matches_empty() => 3,
        _ => 4,
    }
}

fn predicate(mask: ProjectionMask, mut test: Test) -> Box<dyn ArrowPredicate> {
    let run = move |batch: RecordBatch| {
        let mut keep = vec![true; batch.num_rows()];
        match test.run(&batch, &mut keep) {
            Ok(()) => Ok(BooleanArray::from(keep)),
            Err(e) => Err(ArrowError::ExternalError(Box::new(e))),
        }
    };
    Box::new(ArrowPredicateFn::new(mask, run))
}

/// The matchers of one column, with the verdict on each code seen so far.
pub(super) struct Test {
    column: String,
    is_rest: bool,
    matchers: Vec<Matcher>,
    /// The dictionary that `verdicts` belongs to.
    values: Option<ArrayRef>,
    verdicts: Vec<Option<bool>>,
}

impl Test {
    fn new(column: String, is_rest: bool, matchers: Vec<Matcher>) -> Self {
        Self { column, is_rest, matchers, values: None, verdicts: Vec::new() }
    }

    /// Clears `keep` for the rows that do not match.
    pub(super) fn run(&mut self, batch: &RecordBatch, keep: &mut [bool]) -> Result<()> {
        let Some(array) = batch.column_by_name(&self.column) else {
            return Err(BlockError::corrupt(SERIES, format!("column {} is missing", self.column)));
        };
        let coded = Coded::new(SERIES, array)?;
        if !self.values.as_ref().is_some_and(|v| Arc::ptr_eq(v, coded.values)) {
            self.values = Some(Arc::clone(coded.values));
            self.verdicts = vec![None; coded.values.len()];
        }
        for (keep, &key) in keep.iter_mut().zip(coded.keys).filter(|(keep, _)| **keep) {
            *keep = match self.verdicts[key as usize] {
                Some(verdict) => verdict,
                None => {
                    let verdict = self.judge(&coded, key)?;
                    self.verdicts[key as usize] = Some(verdict);
                    verdict
                }
            };
        }
        Ok(())
    }

    fn judge(&self, coded: &Coded<'_>, key: i32) -> Result<bool> {
        if self.is_rest {
            let labels = parse_rest(coded.binary(key))?;
            return Ok(self.matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        }
        let value = coded.text(key);
        Ok(self.matchers.iter().all(|m| m.matches(value)))
    }
}
