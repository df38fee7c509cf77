//! `quantile`: all values of a group at a step are needed at once.

use super::super::context::Context;
use super::super::number;
use super::super::row::{Batch, Row, is_absent};
use super::super::scalar::scalar;
use super::super::stream::gather;
use super::groups::Groups;
use crate::annotations::Annotation;
use crate::engine::EngineError;
use crate::plan::{Aggregation, Node};

/// The quantile of each group.
pub(super) async fn aggregate(
    ctx: &Context<'_>,
    node: &Node,
    a: &Aggregation,
) -> Result<Batch, EngineError> {
    let Some(param) = &a.param else {
        return Err(EngineError::invalid("quantile needs a parameter"));
    };
    let q = scalar(ctx, param).await?;
    let Batch { rows, hold: _hold } = gather(ctx, super::super::vector(ctx, &a.arg)).await?;
    for wrong in super::select::outliers(q.values(), 0.0, 1.0) {
        ctx.annotate(Annotation::invalid_quantile(wrong, param.span).by(node.span));
    }
    let mut groups = Groups::new(a);
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        ctx.check()?;
        let (group, _) = groups.of(row);
        members.resize_with(groups.len(), Vec::new);
        members[group].push(i);
        if row.has_histograms() {
            let text = Annotation::histogram_ignored_in_aggregation("quantile", a.arg.span);
            ctx.annotate(text);
        }
    }
    let steps = node.grid.steps;
    let _room = ctx.room(groups.len(), steps)?;
    let mut out = Vec::with_capacity(groups.len());
    let mut scratch = Vec::new();
    for ((labels, drop_name), members) in groups.into_labels().into_iter().zip(members) {
        let mut row = Row::empty(labels, steps);
        row.drop_name = drop_name;
        for step in 0..steps {
            ctx.check()?;
            scratch.clear();
            let values = members.iter().map(|i| rows[*i].floats[step]);
            scratch.extend(values.filter(|v| !is_absent(*v)));
            if !scratch.is_empty() {
                row.floats[step] = number::quantile(q.at(step), &mut scratch);
            }
        }
        out.push(row);
    }
    ctx.batch(out)
}
