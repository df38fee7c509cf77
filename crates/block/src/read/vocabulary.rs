//! Label names and values from `labels.parquet`, which is sorted: no series is
//! looked at. Small blocks do not have it; their names are those of the columns
//! of `series.parquet` and what `rest` holds.

use std::sync::Arc;

use arrow_array::StringArray;
use futures::stream::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowGroupSelection;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use varve_model::Matcher;

use super::column::{Coded, column};
use super::prune::select_rows;
use super::rows::parse_rest;
use super::source::{Source, batches, from_parquet};
use crate::schema::{LABEL_PREFIX, LABELS, REST, SERIES};
use crate::{BlockError, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// The first `limit` label names (0 = all), sorted.
pub(super) async fn names(source: &Source, limit: usize) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    let metadata = source.metadata.clone();
    let mask = ProjectionMask::columns(metadata.parquet_schema(), ["name"]);
    let stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .build()
            .map_err(|e| from_parquet(LABELS, e))?;
    let mut stream = batches(LABELS, stream);
    while let Some(batch) = stream.try_next().await? {
        for name in column::<StringArray>(LABELS, &batch, "name")?.iter().flatten() {
            if out.last().is_some_and(|last| last == name) {
                continue;
            }
            if limit != 0 && out.len() == limit {
                return Ok(out);
            }
            out.push(name.to_owned());
        }
    }
    Ok(out)
}

/// The first `limit` values (0 = all) of one label, sorted.
pub(super) async fn values(source: &Source, name: &str, limit: usize) -> Result<Vec<String>> {
    let metadata = source.metadata.clone();
    let wanted = Matcher::equal("name", name);
    let column_of = |name: &str| {
        metadata.parquet_schema().columns().iter().position(|c| c.name() == name).unwrap_or(0)
    };
    let bounds = [(column_of("name"), &wanted)];
    let groups = 0..metadata.metadata().num_row_groups();
    let selections: Vec<RowGroupSelection> = groups
        .filter_map(|g| {
            let rows = select_rows(metadata.metadata(), g, &bounds)?;
            Some(RowGroupSelection::new(g, Some(rows)))
        })
        .collect();
    let mut out = Vec::new();
    if selections.is_empty() {
        return Ok(out);
    }
    let mask = ProjectionMask::columns(metadata.parquet_schema(), ["name", "value"]);
    let stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_row_group_selections(selections)
            .with_projection(mask)
            .build()
            .map_err(|e| from_parquet(LABELS, e))?;
    let mut stream = batches(LABELS, stream);
    while let Some(batch) = stream.try_next().await? {
        let names = column::<StringArray>(LABELS, &batch, "name")?;
        let values = column::<StringArray>(LABELS, &batch, "value")?;
        for (n, value) in names.iter().zip(values) {
            let (Some(n), Some(value)) = (n, value) else {
                continue;
            };
            if n != name {
                continue;
            }
            if limit != 0 && out.len() == limit {
                return Ok(out);
            }
            out.push(value.to_owned());
        }
    }
    Ok(out)
}

/// The first `limit` label names (0 = all), sorted, of a block without
/// `labels.parquet`. Some series has the label of each column.
pub(super) async fn names_of_series(source: &Source, limit: usize) -> Result<Vec<String>> {
    let mut out = FirstOf::new(limit);
    for column in source.metadata.parquet_schema().columns() {
        if let Some(name) = column.name().strip_prefix(LABEL_PREFIX) {
            out.add(name);
        }
    }
    let add = |rest: &Coded<'_>, key: i32| {
        parse_rest(rest.binary(key))?.iter().for_each(|(name, _)| out.add(name));
        Ok(())
    };
    each_code(source, REST, add).await?;
    Ok(out.into_vec())
}

/// The first `limit` values (0 = all) of one label, sorted, of a block without
/// `labels.parquet`.
pub(super) async fn values_of_series(
    source: &Source,
    name: &str,
    limit: usize,
) -> Result<Vec<String>> {
    let mut out = FirstOf::new(limit);
    let own = format!("{LABEL_PREFIX}{name}");
    let is_own = source.metadata.parquet_schema().columns().iter().any(|c| c.name() == own);
    let mut add = |value: &str| {
        if !value.is_empty() {
            out.add(value);
        }
    };
    if is_own {
        let add = |column: &Coded<'_>, key: i32| {
            add(column.text(key));
            Ok(())
        };
        each_code(source, &own, add).await?;
    } else {
        let add = |rest: &Coded<'_>, key: i32| {
            add(parse_rest(rest.binary(key))?.get(name));
            Ok(())
        };
        each_code(source, REST, add).await?;
    }
    Ok(out.into_vec())
}

/// Calls `add` with each code that the rows of a dictionary-coded column of
/// `series.parquet` have, about once.
async fn each_code(
    source: &Source,
    name: &str,
    mut add: impl FnMut(&Coded<'_>, i32) -> Result<()>,
) -> Result<()> {
    let metadata = source.metadata.clone();
    let columns = metadata.parquet_schema().columns();
    let missing = || BlockError::corrupt(SERIES, format!("column {name:?} is missing"));
    // By position: a path would be split at the dots of a name.
    let position = columns.iter().position(|c| c.name() == name).ok_or_else(missing)?;
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), [position]);
    let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), metadata)
        .with_batch_size(BATCH_ROWS)
        .with_projection(mask)
        .build()
        .map_err(|e| from_parquet(SERIES, e))?;
    let mut stream = batches(SERIES, stream);
    while let Some(batch) = stream.try_next().await? {
        let column = Coded::new(SERIES, batch.columns().first().ok_or_else(missing)?)?;
        let mut seen = vec![false; column.values.len()];
        for &key in column.keys {
            if !std::mem::replace(&mut seen[key as usize], true) {
                add(&column, key)?;
            }
        }
    }
    Ok(())
}

/// A sorted set that keeps only its first `limit` members (0 = all).
pub(super) struct FirstOf {
    limit: usize,
    members: std::collections::BTreeSet<Arc<str>>,
}

impl FirstOf {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, members: std::collections::BTreeSet::new() }
    }

    pub(super) fn add(&mut self, member: &str) {
        if self.members.contains(member) {
            return;
        }
        self.members.insert(member.into());
        if self.limit != 0 && self.members.len() > self.limit {
            self.members.pop_last();
        }
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.members.iter().map(|m| m.to_string()).collect()
    }
}
