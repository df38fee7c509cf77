//! Exemplars and metadata of a block.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{BinaryArray, Float64Array, StringArray};
use futures::stream::TryStreamExt;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use varve_model::{Exemplar, Labels, Metadata, MetricType, TimeRange};

use super::column::{column, longs};
use super::source::{Source, batches, from_parquet};
use crate::schema::{EXEMPLARS, METADATA};
use crate::{BlockError, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// The exemplars in `range` of the series whose rows in `series.parquet` are
/// the keys of `series`.
pub(super) async fn exemplars(
    source: &Source,
    series: &HashMap<i64, Labels>,
    range: TimeRange,
) -> Result<HashMap<i64, Vec<Exemplar>>> {
    let mut out: HashMap<i64, Vec<Exemplar>> = HashMap::new();
    let stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), source.metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| from_parquet(EXEMPLARS, e))?;
    let mut stream = batches(EXEMPLARS, stream);
    while let Some(batch) = stream.try_next().await? {
        let (of, time) = (longs(EXEMPLARS, &batch, "series")?, longs(EXEMPLARS, &batch, "time")?);
        let value = column::<Float64Array>(EXEMPLARS, &batch, "value")?.values();
        let labels = column::<BinaryArray>(EXEMPLARS, &batch, "labels")?;
        for i in 0..of.len() {
            if !range.contains(time[i]) || !series.contains_key(&of[i]) {
                continue;
            }
            let labels = Labels::from_bytes(labels.value(i))
                .map_err(|e| BlockError::corrupt(EXEMPLARS, e))?;
            let exemplar = Exemplar { labels, value: value[i], timestamp: time[i] };
            out.entry(of[i]).or_default().push(exemplar);
        }
    }
    Ok(out)
}

/// All metadata, in order of metric.
pub(super) async fn metadata(source: &Source) -> Result<Vec<(String, Metadata)>> {
    let mut out = Vec::new();
    let stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(source.clone(), source.metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| from_parquet(METADATA, e))?;
    let mut stream = batches(METADATA, stream);
    while let Some(batch) = stream.try_next().await? {
        let text = |name: &str| column::<StringArray>(METADATA, &batch, name);
        let (metric, kind) = (text("metric")?, text("type")?);
        let (help, unit) = (text("help")?, text("unit")?);
        for i in 0..batch.num_rows() {
            let (help, unit) = (Arc::from(help.value(i)), Arc::from(unit.value(i)));
            let kind = kind.value(i);
            let kind = MetricType::ALL.into_iter().find(|k| k.as_str() == kind).unwrap_or_default();
            out.push((metric.value(i).to_owned(), Metadata { kind, help, unit }));
        }
    }
    Ok(out)
}
