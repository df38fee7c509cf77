//! `smoothed` instant selectors: the value at each step is interpolated
//! between the samples around it.
//!
//! Source: Prometheus, promql/engine.go `smoothSeries`.

use varve_model::{Series, is_stale};

use super::context::Context;
use super::range::interpolate;
use super::row::Row;
use crate::annotations::Annotation;
use crate::plan::{Node, Select};

/// One series on the grid.
pub(crate) fn row(
    ctx: &Context<'_>,
    node: &Node,
    select: &Select,
    series: &Series,
) -> Row {
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
    let histograms: Vec<_> = series
        .histograms
        .times
        .iter()
        .zip(&series.histograms.values)
        .filter(|(_, h)| !h.is_stale())
        .collect();
    for step in 0..grid.steps {
        let at = select.lookup.of(grid.time(step));
        let (from, to) = (at.saturating_sub(select.lookback), at.saturating_add(select.lookback));
        let window = |times: &dyn Fn(i64) -> usize| times(from)..times(to);
        let f = window(&|t| floats.partition_point(|p| p.0 <= t));
        let h = window(&|t| histograms.partition_point(|p| *p.0 <= t));
        if !f.is_empty() && !h.is_empty() {
            let name = series.labels.metric_name();
            ctx.annotate(Annotation::mixed_floats_histograms(name, span));
            continue;
        }
        if !f.is_empty() {
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
