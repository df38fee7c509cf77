//! Aggregations: series are mapped to groups once, then whole rows are added
//! to the accumulators of their group.

mod count_values;
mod fold;
mod groups;
mod heap;
mod quantile;
mod select;
mod sum;

use futures::StreamExt;

use self::fold::{Fold, Folds};
use self::groups::Groups;
use super::context::Context;
use super::row::Batch;
use crate::ast::AggregateOp;
use crate::engine::EngineError;
use crate::plan::{Aggregation, Node};

/// Evaluates an aggregation.
pub(crate) async fn aggregate(
    ctx: &Context<'_>,
    node: &Node,
    a: &Aggregation,
) -> Result<Batch, EngineError> {
    match a.op {
        AggregateOp::Sum | AggregateOp::Avg => fold(ctx, node, a, &sum::Kind::of(a.op)).await,
        AggregateOp::Count => fold(ctx, node, a, &fold::Count).await,
        AggregateOp::Group => fold(ctx, node, a, &fold::Present).await,
        AggregateOp::Min => fold(ctx, node, a, &fold::Extreme { max: false }).await,
        AggregateOp::Max => fold(ctx, node, a, &fold::Extreme { max: true }).await,
        AggregateOp::Stddev => fold(ctx, node, a, &fold::Variance { root: true }).await,
        AggregateOp::Stdvar => fold(ctx, node, a, &fold::Variance { root: false }).await,
        AggregateOp::Quantile => quantile::aggregate(ctx, node, a).await,
        AggregateOp::CountValues => count_values::aggregate(ctx, node, a).await,
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => select::aggregate(ctx, node, a).await,
    }
}

/// The aggregations that take one row after the other in.
async fn fold<F: Fold>(
    ctx: &Context<'_>,
    node: &Node,
    a: &Aggregation,
    fold: &F,
) -> Result<Batch, EngineError> {
    let steps = node.grid.steps;
    let mut groups = Groups::new(a);
    let mut folds = Folds::new(ctx, fold, steps, a.arg.span);
    let mut hold = ctx.hold(0, 0)?;
    let mut stream = super::vector(ctx, &a.arg);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        for row in &batch.rows {
            ctx.check()?;
            let (group, new) = groups.of(row);
            if new {
                hold.merge(ctx.hold(F::memory(steps) + row.labels.memory(), 0)?);
                hold.assign(node.part);
            }
            folds.add(group, row)?;
        }
    }
    let rows = folds.finish(groups.into_labels())?;
    ctx.batch(rows)
}
