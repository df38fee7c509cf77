//! `absent`: one series where a vector is empty.

use futures::StreamExt;
use varve_model::Labels;

use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::{Batch, Row};
use crate::plan::Node;

/// A 1 at each step at which the vector has no sample.
pub(crate) async fn absent(
    ctx: &Context<'_>,
    node: &Node,
    arg: &Node,
    labels: &Labels,
) -> Result<Batch, EngineError> {
    let steps = node.grid.steps;
    let _room = ctx.room(1, steps)?;
    let mut row = Row::empty(labels.clone(), steps);
    row.floats.iter_mut().for_each(|v| *v = 1.0);
    let mut stream = crate::eval::vector(ctx, arg);
    while let Some(batch) = stream.next().await {
        for r in &batch?.rows {
            ctx.check()?;
            (0..steps).filter(|s| r.has(*s)).for_each(|s| row.clear(s));
        }
    }
    ctx.batch(vec![row])
}
