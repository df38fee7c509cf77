//! How batches flow: every vector operator is a stream of them, and operators
//! that need a whole vector gather one.

use futures::StreamExt;
use futures::stream::BoxStream;
use varve_model::LabelMap;

use super::context::Context;
use super::row::{Batch, Cell, Row, is_absent};
use crate::engine::EngineError;

/// Batches of one vector.
pub(crate) type BatchStream<'a> = BoxStream<'a, Result<Batch, EngineError>>;

/// What Prometheus says when two series of a vector have the same labels.
pub(crate) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// All batches as one.
pub(crate) async fn gather(
    ctx: &Context<'_>,
    mut stream: BatchStream<'_>,
) -> Result<Batch, EngineError> {
    let mut all: Option<Batch> = None;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        ctx.check()?;
        match &mut all {
            None => all = Some(batch),
            Some(all) => {
                all.rows.extend(batch.rows);
                all.hold.merge(batch.hold);
            }
        }
    }
    match all {
        Some(all) => Ok(all),
        None => ctx.batch(Vec::new()),
    }
}

/// Makes one row of rows with the same labels. Of rows merged the `drop_name` of
/// the one whose samples begin first stays.
///
/// # Errors
/// When two of them have a sample at the same step.
pub(crate) fn merge_same(rows: Vec<Row>) -> Result<Vec<Row>, EngineError> {
    merge(rows, |into, row| {
        let begins = |r: &Row| (0..r.floats.len()).position(|s| r.has(s)).unwrap_or(usize::MAX);
        if begins(row) < begins(into) {
            into.drop_name = row.drop_name;
        }
        merge_into(into, row, |into, step, _| !into.has(step))
    })
}

/// The same where Prometheus merges whole series (`label_replace`, `-x`, the
/// end of a query): a float and a histogram at one step both stay. Operators
/// see the float. The first row's `drop_name` stays.
///
/// # Errors
/// When two of them have a sample of one kind at the same step.
pub(crate) fn merge_series(rows: Vec<Row>) -> Result<Vec<Row>, EngineError> {
    merge(rows, |into, row| {
        merge_into(into, row, |into, step, cell| match cell {
            Cell::Histogram(_) => !into.has_histogram(step),
            _ => is_absent(into.floats[step]),
        })
    })
}

fn merge(
    rows: Vec<Row>,
    into: impl Fn(&mut Row, &Row) -> Result<(), EngineError>,
) -> Result<Vec<Row>, EngineError> {
    let mut seen: LabelMap<usize> = LabelMap::default();
    seen.reserve(rows.len());
    if rows.iter().enumerate().all(|(i, r)| seen.insert(r.labels.clone(), i).is_none()) {
        return Ok(rows);
    }
    seen.clear();
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match seen.get(&row.labels) {
            None => {
                seen.insert(row.labels.clone(), merged.len());
                merged.push(row);
            }
            Some(&i) => into(&mut merged[i], &row)?,
        }
    }
    Ok(merged)
}

fn merge_into(
    into: &mut Row,
    row: &Row,
    fits: impl Fn(&Row, usize, Cell<'_>) -> bool,
) -> Result<(), EngineError> {
    for step in 0..row.floats.len() {
        // A row that was merged before may have both.
        let histogram = row.histograms.as_ref().and_then(|h| h[step].as_ref());
        let float = Some(row.floats[step]).filter(|v| !is_absent(*v)).map(Cell::Float);
        for cell in float.into_iter().chain(histogram.map(Cell::Histogram)) {
            if !fits(into, step, cell) {
                return Err(EngineError::execution(SAME_LABELS));
            }
            into.set(step, cell);
        }
    }
    Ok(())
}
