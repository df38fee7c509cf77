//! From the top of the plan to the answer: names dropped that were to be
//! dropped, equal series made one, a matrix sorted by labels.

use std::future::ready;
use std::sync::Arc;

use varve_model::{FloatSamples, HistogramSamples, Labels, Series};

use super::context::Context;
use super::range::{self, RangeSeries};
use super::row::{Cell, Row, is_absent, without_name};
use super::scalar::scalar;
use super::stream::{SAME_LABELS, merge_series};
use crate::ast::ValueType;
use crate::engine::{EngineError, Query};
use crate::order::sorted;
use crate::plan::{Grid, Node, Op};
use crate::value::{InstantSample, QueryValue, Value};

/// Evaluates the whole plan.
pub(crate) async fn value(
    ctx: &Context<'_>,
    query: &Query,
    node: &Node,
) -> Result<QueryValue, EngineError> {
    let instant = query.step_ms == 0;
    let time_ms = query.start_ms;
    match node.value_type {
        ValueType::String => {
            let value = match &node.op {
                Op::String(s) => s.clone(),
                _ => Vec::new(),
            };
            Ok(QueryValue::String { time_ms, value })
        }
        ValueType::Scalar => {
            let scalars = scalar(ctx, node).await?;
            if instant {
                return Ok(QueryValue::Scalar { time_ms, value: scalars.at(0) });
            }
            let mut floats = FloatSamples::default();
            for (step, v) in scalars.values().iter().enumerate() {
                floats.push(node.grid.time(step), *v, 0);
            }
            let series = Series { labels: Labels::empty(), floats, ..Series::default() };
            Ok(QueryValue::Matrix(if series.is_empty() { vec![] } else { vec![series] }))
        }
        ValueType::Vector => {
            let batch = super::whole_vector(ctx, node).await?;
            let rows = named(batch.rows)?;
            Ok(match instant {
                true => {
                    QueryValue::Vector(rows.iter().filter_map(|r| sample(r, time_ms)).collect())
                }
                false => {
                    let of = |row| ctx.check().map(|()| series(node.grid, row));
                    matrix(ctx, rows.into_iter().map(of).collect::<Result<_, _>>()?).await?
                }
            })
        }
        ValueType::Matrix => {
            let Op::Matrix(source) = &node.op else {
                return Err(EngineError::invalid("expected a range vector"));
            };
            let (all, _hold) = range::matrix(ctx, node, source).await?;
            let all = all.into_iter().map(of_range).collect::<Result<_, _>>().and_then(unique)?;
            matrix(ctx, all).await
        }
    }
}

/// Drops the names that were kept up to now.
fn named(mut rows: Vec<Row>) -> Result<Vec<Row>, EngineError> {
    for row in rows.iter_mut().filter(|r| r.drop_name) {
        row.labels = without_name(&row.labels);
    }
    merge_series(rows)
}

fn sample(row: &Row, time_ms: i64) -> Option<InstantSample> {
    // Where there are both, an instant vector shows the histogram.
    let histogram = row.histograms.as_ref().and_then(|h| h[0].as_ref());
    let value = match (histogram, row.cell(0)) {
        (None, Cell::Absent) => return None,
        (None, Cell::Float(v)) => Value::Float(v),
        (Some(h), _) | (None, Cell::Histogram(h)) => Value::Histogram(Arc::clone(h)),
    };
    Some(InstantSample { labels: row.labels.clone(), time_ms, value })
}

fn series(grid: Grid, row: Row) -> Series {
    let mut series = Series { labels: row.labels.clone(), ..Series::default() };
    for step in 0..grid.steps {
        if !is_absent(row.floats[step]) {
            series.floats.push(grid.time(step), row.floats[step], 0);
        }
        if let Some(h) = row.histograms.as_ref().and_then(|h| h[step].as_ref()) {
            series.histograms.push(grid.time(step), Arc::clone(h), 0);
        }
    }
    series
}

fn of_range(s: RangeSeries) -> Result<Series, EngineError> {
    let labels = if s.drop_name { without_name(&s.labels) } else { s.labels };
    let floats = FloatSamples { starts: Vec::new(), ..s.floats };
    let histograms = HistogramSamples { starts: Vec::new(), ..s.histograms };
    Ok(Series { labels, floats, histograms })
}

/// Makes one series of those of a matrix that have become the same.
fn unique(mut all: Vec<Series>) -> Result<Vec<Series>, EngineError> {
    // One with the same labels comes right behind, those that came first first.
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut merged: Vec<Series> = Vec::with_capacity(all.len());
    for s in all {
        match merged.last_mut().filter(|before| before.labels == s.labels) {
            Some(before) => merge(before, &s)?,
            None => merged.push(s),
        }
    }
    Ok(merged)
}

/// Adds the samples of another series: none may be of the same kind and time.
fn merge(into: &mut Series, other: &Series) -> Result<(), EngineError> {
    let (mut floats, mut histograms) = (FloatSamples::default(), HistogramSamples::default());
    let mut all: Vec<(i64, f64)> = Vec::with_capacity(into.floats.len() + other.floats.len());
    for f in [&into.floats, &other.floats] {
        all.extend(f.times.iter().copied().zip(f.values.iter().copied()));
    }
    all.sort_by_key(|(time, _)| *time);
    all.iter().for_each(|(time, v)| floats.push(*time, *v, 0));
    let mut all = Vec::with_capacity(into.histograms.len() + other.histograms.len());
    for h in [&into.histograms, &other.histograms] {
        all.extend(h.times.iter().copied().zip(h.values.iter().map(Arc::clone)));
    }
    all.sort_by_key(|(time, _)| *time);
    all.into_iter().for_each(|(time, h)| histograms.push(time, h, 0));
    let twice = |times: &[i64]| times.windows(2).any(|w| w[0] == w[1]);
    if twice(&floats.times) || twice(&histograms.times) {
        return Err(EngineError::execution(SAME_LABELS));
    }
    (into.floats, into.histograms) = (floats, histograms);
    Ok(())
}

async fn matrix(ctx: &Context<'_>, mut all: Vec<Series>) -> Result<QueryValue, EngineError> {
    all.retain(|s| !s.is_empty());
    let order = |a: &Series, b: &Series| a.labels.cmp(&b.labels);
    Ok(QueryValue::Matrix(sorted(all, order, || ready(ctx.check())).await?))
}
