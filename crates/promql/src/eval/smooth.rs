//! `smoothed` instant selectors: the value at each step is interpolated
//! between the samples around it.
//!
//! Source: Prometheus, promql/engine.go `smoothSeries`.

use std::sync::Arc;

use varve_model::{Histogram, ResetHint, Series, is_stale};

use super::context::Context;
use super::histogram::interpolate::interpolate as interpolate_histogram;
use super::histogram::of_storage;
use super::range::interpolate;
use super::row::Row;
use crate::annotations::Annotation;
use crate::ast::Span;
use crate::plan::{Node, Select};

/// One series on the grid.
pub(crate) fn row(ctx: &Context<'_>, node: &Node, select: &Select, series: &Series) -> Row {
    let (grid, span) = (node.grid, node.span);
    let mut row = Row::empty(series.labels.clone(), grid.steps);
    let floats: Vec<(i64, f64)> = series
        .floats
        .times
        .iter()
        .zip(&series.floats.values)
        .filter(|(_, v)| !is_stale(**v))
        .map(|(t, v)| (*t, *v))
        .collect();
    // Without buckets hints have been found out already.
    let seen: fn(&Arc<Histogram>) -> _ = if select.stats_only { Arc::clone } else { of_storage };
    let histograms: Vec<(i64, Arc<Histogram>)> = series
        .histograms
        .times
        .iter()
        .zip(&series.histograms.values)
        .filter(|(_, h)| !h.is_stale())
        .map(|(t, h)| (*t, seen(h)))
        .collect();
    for step in 0..grid.steps {
        let at = select.lookup.of(grid.time(step));
        let (from, to) = (at.saturating_sub(select.lookback), at.saturating_add(select.lookback));
        let window = |times: &dyn Fn(i64) -> usize| times(from)..times(to);
        let f = window(&|t| floats.partition_point(|p| p.0 <= t));
        let h = window(&|t| histograms.partition_point(|p| p.0 <= t));
        if !f.is_empty() && !h.is_empty() {
            let name = series.labels.metric_name();
            ctx.annotate(Annotation::mixed_floats_histograms(name, span));
            continue;
        }
        if !h.is_empty() {
            if let Some(h) = histogram(ctx, span, series, &histograms[h], at) {
                row.set_histogram(step, h);
            }
        } else if !f.is_empty() {
            let points = &floats[f];
            let i = points.partition_point(|p| p.0 < at);
            match (i.checked_sub(1).map(|i| points[i]), points.get(i)) {
                (_, Some(next)) if next.0 == at => row.floats[step] = next.1,
                (Some(prev), Some(next)) => {
                    row.floats[step] = interpolate(prev, *next, at, false);
                }
                (Some(prev), None) => row.floats[step] = prev.1,
                (None, _) => {}
            }
        }
    }
    row
}

/// The histogram at a time, `None` before the first sample.
fn histogram(
    ctx: &Context<'_>,
    span: Span,
    series: &Series,
    points: &[(i64, Arc<Histogram>)],
    at: i64,
) -> Option<Arc<Histogram>> {
    let i = points.partition_point(|p| p.0 < at);
    let prev = i.checked_sub(1).map(|i| &points[i]);
    match (prev, points.get(i)) {
        (_, Some(next)) if next.0 == at => Some(Arc::clone(&next.1)),
        (Some(prev), Some(next)) => {
            let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
            let counter = !gauge(&prev.1) || !gauge(&next.1);
            let (a, b) = ((prev.0, &*prev.1), (next.0, &*next.1));
            if a.1.uses_custom_buckets() != b.1.uses_custom_buckets() {
                let name = series.labels.metric_name();
                ctx.annotate(Annotation::mixed_exponential_custom(name, span));
                return None;
            }
            match interpolate_histogram(&|a| ctx.annotate(a), span, a, b, at, counter) {
                Ok(h) => Some(Arc::new(h.to_model())),
                Err(_) => {
                    let name = series.labels.metric_name();
                    ctx.annotate(Annotation::mixed_exponential_custom(name, span));
                    None
                }
            }
        }
        (Some(prev), None) => {
            let h = Histogram { reset_hint: ResetHint::Unknown, ..(*prev.1).clone() };
            Some(Arc::new(h))
        }
        (None, _) => None,
    }
}
