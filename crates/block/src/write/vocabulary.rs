//! The label names and values of a block, each once, with their use counts.
//!
//! This is the part of a writer's memory that grows with the data: it becomes
//! the dictionaries of `series.parquet` and the rows of `labels.parquet`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use parquet::file::properties::EnabledStatistics;
use varve_model::Labels;

use super::Layout;
use super::parquet::{FileWriter, delta, path, properties};
use crate::schema::{self, LABEL_PREFIX, MAX_LABEL_COLUMNS};
use crate::{FileMeta, Result, SORT_LABELS};

/// Rows and bytes of values after which a batch is written.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 8 << 20;

/// Series that must have a label for it to get a column.
const MIN_USERS: u64 = 32;

/// One label name and its values.
pub(super) struct Name {
    pub(super) name: Arc<str>,
    /// Series that have this label.
    pub(super) series: u64,
    /// In order of first use, with the number of series that have it.
    pub(super) values: Vec<(Arc<str>, u64)>,
    ids: HashMap<Arc<str>, u32>,
}

/// All label names and values that were pushed.
#[derive(Default)]
pub(super) struct Vocabulary {
    pub(super) names: Vec<Name>,
    ids: HashMap<Arc<str>, u32>,
}

impl Vocabulary {
    /// Counts the labels of one series; appends (name, value) ids to `out`.
    pub(super) fn add(&mut self, labels: &Labels, out: &mut Vec<(u32, u32)>) {
        for (name, value) in labels {
            let n = match self.ids.get(name) {
                Some(n) => *n,
                None => {
                    let text: Arc<str> = name.into();
                    let n = self.names.len() as u32;
                    self.ids.insert(Arc::clone(&text), n);
                    let (series, values, ids) = (0, Vec::new(), HashMap::new());
                    self.names.push(Name { name: text, series, values, ids });
                    n
                }
            };
            let entry = &mut self.names[n as usize];
            entry.series += 1;
            let v = match entry.ids.get(value) {
                Some(v) => *v,
                None => {
                    let text: Arc<str> = value.into();
                    let v = entry.values.len() as u32;
                    entry.ids.insert(Arc::clone(&text), v);
                    entry.values.push((text, 0));
                    v
                }
            };
            entry.values[v as usize].1 += 1;
            out.push((n, v));
        }
    }

    /// The names that get a column of their own: the most common ones, but of
    /// names that differ only in case the most common one alone (readers fold
    /// the case of column names), and none with odd characters. A rare name
    /// would cost more in the footer than it saves; the sort labels, by which
    /// pages are pruned, are never too rare.
    pub(super) fn columns(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        let key = |i: &u32| &self.names[*i as usize];
        order.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            b.series.cmp(&a.series).then_with(|| a.name.cmp(&b.name))
        });
        let mut folded = std::collections::HashSet::new();
        let mut columns: Vec<u32> = order
            .into_iter()
            .filter(|i| is_column_name(&key(i).name))
            .filter(|i| key(i).series >= MIN_USERS || SORT_LABELS.contains(&&*key(i).name))
            .filter(|i| folded.insert(key(i).name.to_lowercase()))
            .take(MAX_LABEL_COLUMNS)
            .collect();
        columns.sort_by(|a, b| key(a).name.cmp(&key(b).name));
        columns
    }

    /// Writes `labels.parquet`.
    pub(super) fn write(&self, dir: &Path, layout: Layout) -> Result<(String, FileMeta)> {
        let p = delta(properties(layout)?, &["series"])
            .set_column_dictionary_enabled(path("name"), true)
            .set_column_statistics_enabled(path("name"), EnabledStatistics::Page)
            .set_column_statistics_enabled(path("value"), EnabledStatistics::Page);
        let mut file = FileWriter::create(dir, schema::LABELS, schema::labels(), p.build())?;
        let mut names: Vec<&Name> = self.names.iter().collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let mut batch: Vec<(&str, &str, i64)> = Vec::new();
        let mut bytes = 0;
        for name in names {
            let mut values: Vec<&(Arc<str>, u64)> = name.values.iter().collect();
            values.sort();
            for (value, series) in values {
                bytes += name.name.len() + value.len();
                batch.push((&name.name, value, *series as i64));
                if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                    write_batch(&mut file, &mut batch)?;
                    bytes = 0;
                }
            }
        }
        write_batch(&mut file, &mut batch)?;
        file.finish()
    }
}

fn write_batch(file: &mut FileWriter, batch: &mut Vec<(&str, &str, i64)>) -> Result<()> {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(batch.iter().map(|r| r.0)));
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(batch.iter().map(|r| r.1)));
    let series: ArrayRef = Arc::new(Int64Array::from_iter_values(batch.iter().map(|r| r.2)));
    batch.clear();
    file.write(vec![names, values, series])
}

/// Whether a label name can be part of a column name that every reader takes.
fn is_column_name(name: &str) -> bool {
    name.len() + LABEL_PREFIX.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/:".contains(&b))
}
