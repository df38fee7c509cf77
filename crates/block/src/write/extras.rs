//! `exemplars.parquet` and `metadata.parquet`: plain columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use varve_model::{Exemplar, Metadata};

use super::Layout;
use super::parquet::{FileWriter, delta, path, properties};
use crate::{FileMeta, Result, schema};

/// Rows and bytes of labels after which a batch is written.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 8 << 20;

/// Writes exemplars as they come; no file when there are none.
pub(super) struct Exemplars {
    dir: PathBuf,
    layout: Layout,
    file: Option<FileWriter>,
    series: Vec<i64>,
    time: Vec<i64>,
    value: Vec<f64>,
    labels: BinaryBuilder,
    bytes: usize,
    pub(super) count: u64,
}

impl Exemplars {
    pub(super) fn new(dir: &Path, layout: Layout) -> Self {
        Self {
            dir: dir.to_owned(),
            layout,
            file: None,
            series: Vec::new(),
            time: Vec::new(),
            value: Vec::new(),
            labels: BinaryBuilder::new(),
            bytes: 0,
            count: 0,
        }
    }

    /// Adds the exemplars of one series, in order of time.
    pub(super) fn add(&mut self, series: i64, exemplars: &[Exemplar]) -> Result<()> {
        let mut sorted: Vec<&Exemplar> = exemplars.iter().collect();
        sorted.sort_by_key(|e| e.timestamp);
        for e in sorted {
            self.series.push(series);
            self.time.push(e.timestamp);
            self.value.push(e.value);
            self.labels.append_value(e.labels.as_bytes());
            self.bytes += e.labels.as_bytes().len();
            self.count += 1;
            if self.series.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let p = delta(properties(self.layout)?, &["series", "time"])
                    .set_column_dictionary_enabled(path("labels"), true)
                    .build();
                let (name, schema) = (schema::EXEMPLARS, schema::exemplars());
                self.file.insert(FileWriter::create(&self.dir, name, schema, p)?)
            }
        };
        self.bytes = 0;
        file.write(vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.series))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.time))),
            Arc::new(Float64Array::from(std::mem::take(&mut self.value))),
            Arc::new(self.labels.finish()),
        ])
    }

    pub(super) fn finish(mut self) -> Result<Option<(String, FileMeta)>> {
        if !self.series.is_empty() {
            self.flush()?;
        }
        self.file.map(FileWriter::finish).transpose()
    }
}

/// Writes `metadata.parquet`; no file when there is none.
pub(super) fn write_metadata(
    dir: &Path,
    layout: Layout,
    metadata: &BTreeMap<String, Metadata>,
) -> Result<Option<(String, FileMeta)>> {
    if metadata.is_empty() {
        return Ok(None);
    }
    let p = ["type", "help", "unit"]
        .iter()
        .fold(properties(layout)?, |p, name| p.set_column_dictionary_enabled(path(name), true));
    let (name, schema) = (schema::METADATA, schema::metadata());
    let mut file = FileWriter::create(dir, name, schema, p.build())?;
    let rows: Vec<(&str, &Metadata)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let texts = |rows: &[(&str, &Metadata)], get: fn(&Metadata) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, m)| get(m))))
    };
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(name, m): &&(&str, &Metadata)| {
            bytes += name.len() + m.help.len() + m.unit.len();
            bytes < BATCH_BYTES
        };
        let count = rest.iter().take(BATCH_ROWS).take_while(fits).count().max(1);
        let (part, after) = rest.split_at(count);
        rest = after;
        file.write(vec![
            Arc::new(StringArray::from_iter_values(part.iter().map(|(name, _)| name))),
            texts(part, |m| m.kind.as_str()),
            texts(part, |m| &m.help),
            texts(part, |m| &m.unit),
        ])?;
    }
    file.finish().map(Some)
}
