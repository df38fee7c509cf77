//! `series.parquet`: which label gets which column, and the rows themselves.
//!
//! Which names are the most common is known only at the end, so a pushed
//! series waits in a spool as (name, value) numbers of the vocabulary.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::LargeBinaryDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, LargeStringArray};
use parquet::file::properties::EnabledStatistics;
use varve_model::Labels;

use super::Layout;
use super::parquet::{FileWriter, delta, path, properties};
use super::spool::{BUFFER, Spool, SpoolReader};
use super::vocabulary::Vocabulary;
use crate::order::SORT_LABELS;
use crate::schema::{self, LABEL_PREFIX, REST};
use crate::{BlockError, FileMeta, Result};

/// Rows after which a batch is written.
const BATCH_ROWS: usize = 8192;

/// The series of a block, waiting for their columns.
pub(super) struct SeriesSpool {
    spool: Spool,
    record: Vec<u8>,
}

impl SeriesSpool {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        Ok(Self { spool: Spool::create(dir, "series.spool")?, record: Vec::new() })
    }

    /// Adds a series with its labels' numbers and its number of rows in
    /// `samples.parquet`.
    pub(super) fn add(&mut self, labels: &[(u32, u32)], rows: u32) -> Result<()> {
        self.record.clear();
        for n in [rows, labels.len() as u32] {
            self.record.extend_from_slice(&n.to_le_bytes());
        }
        for (name, value) in labels {
            self.record.extend_from_slice(&name.to_le_bytes());
            self.record.extend_from_slice(&value.to_le_bytes());
        }
        self.spool.write(&self.record)
    }

    /// Writes `series.parquet`.
    pub(super) fn write(
        self,
        dir: &Path,
        layout: Layout,
        vocabulary: &Vocabulary,
    ) -> Result<(String, FileMeta)> {
        let columns = vocabulary.columns();
        let names: Vec<&str> =
            columns.iter().map(|i| &*vocabulary.names[*i as usize].name).collect();
        let mut p = delta(properties(layout)?, &["series", "row", "rows"])
            .set_column_dictionary_enabled(path(REST), true)
            .set_column_dictionary_page_size_limit(path(REST), layout.dictionary_bytes);
        for name in &names {
            let column = path(&format!("{LABEL_PREFIX}{name}"));
            let statistics = match SORT_LABELS.contains(name) {
                true => EnabledStatistics::Page,
                false => EnabledStatistics::Chunk,
            };
            p = p
                .set_column_dictionary_enabled(column.clone(), true)
                .set_column_dictionary_page_size_limit(column.clone(), layout.dictionary_bytes)
                .set_column_statistics_enabled(column, statistics);
        }
        let mut file = FileWriter::create(dir, schema::SERIES, schema::series(&names), p.build())?;
        let mut rows = Rows::new(vocabulary, &columns);
        let mut spool = self.spool.read_back(BUFFER)?;
        while !spool.is_done() {
            rows.read(&mut spool)?;
            if rows.rows.len() >= BATCH_ROWS {
                file.write(rows.take()?)?;
            }
        }
        file.write(rows.take()?)?;
        file.finish()
    }
}

/// The batch of rows that is being built.
struct Rows<'a> {
    vocabulary: &'a Vocabulary,
    /// Column of each name, if it has one.
    column_of: Vec<Option<usize>>,
    /// Dictionary of each column: the empty value, then the name's values.
    values: Vec<Arc<LargeStringArray>>,
    keys: Vec<Vec<i32>>,
    rest: LargeBinaryDictionaryBuilder<Int32Type>,
    row: Vec<i64>,
    rows: Vec<i32>,
    next_series: i64,
    next_row: i64,
}

impl<'a> Rows<'a> {
    fn new(vocabulary: &'a Vocabulary, columns: &[u32]) -> Self {
        let mut column_of = vec![None; vocabulary.names.len()];
        let mut values = Vec::new();
        for (column, name) in columns.iter().enumerate() {
            column_of[*name as usize] = Some(column);
            let texts = vocabulary.names[*name as usize].values.iter().map(|(text, _)| &**text);
            let texts = std::iter::once("").chain(texts);
            values.push(Arc::new(LargeStringArray::from_iter_values(texts)));
        }
        Self {
            vocabulary,
            column_of,
            keys: vec![Vec::new(); values.len()],
            values,
            rest: LargeBinaryDictionaryBuilder::new(),
            row: Vec::new(),
            rows: Vec::new(),
            next_series: 0,
            next_row: 0,
        }
    }

    fn read(&mut self, spool: &mut SpoolReader) -> Result<()> {
        let rows = spool.u32()?;
        let at = self.rows.len();
        for keys in &mut self.keys {
            keys.push(0);
        }
        let mut rest: Vec<(&str, &str)> = Vec::new();
        for _ in 0..spool.u32()? {
            let (name, value) = (spool.u32()?, spool.u32()?);
            match self.column_of[name as usize] {
                Some(column) => self.keys[column][at] = value as i32 + 1,
                None => {
                    let name = &self.vocabulary.names[name as usize];
                    rest.push((&name.name, &name.values[value as usize].0));
                }
            }
        }
        let rest = Labels::from_pairs(rest).map_err(|e| encode(&e))?;
        self.rest.append(rest.as_bytes()).map_err(|e| encode(&e))?;
        self.row.push(self.next_row);
        self.rows.push(rows as i32);
        self.next_row += i64::from(rows);
        Ok(())
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let count = self.rows.len() as i64;
        let series = self.next_series..self.next_series + count;
        self.next_series += count;
        let mut out: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(series))];
        for (keys, values) in self.keys.iter_mut().zip(&self.values) {
            let keys = Int32Array::from(std::mem::take(keys));
            let values: ArrayRef = Arc::<LargeStringArray>::clone(values);
            let coded = DictionaryArray::try_new(keys, values).map_err(|e| encode(&e))?;
            out.push(Arc::new(coded));
        }
        out.push(Arc::new(self.rest.finish()));
        out.push(Arc::new(Int64Array::from(std::mem::take(&mut self.row))));
        out.push(Arc::new(Int32Array::from(std::mem::take(&mut self.rows))));
        Ok(out)
    }
}

fn encode(e: &dyn std::fmt::Display) -> BlockError {
    BlockError::Encode { file: schema::SERIES.to_owned(), detail: e.to_string() }
}
