//! and, or, unless.

use varve_model::LabelMap;

use super::signature;
use crate::ast::BinaryOp;
use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::Row;
use crate::eval::stream::merge_same;
use crate::plan::{Grid, VectorBinary};

/// At which steps a side has a series, by the labels matched on.
type Presence = LabelMap<Vec<bool>>;

fn presence(
    ctx: &Context<'_>,
    rows: &[Row],
    b: &VectorBinary,
    steps: usize,
) -> Result<Presence, EngineError> {
    let mut all = Presence::default();
    for row in rows {
        ctx.check()?;
        let steps_of =
            all.entry(signature(&row.labels, &b.matching)).or_insert_with(|| vec![false; steps]);
        for (step, present) in steps_of.iter_mut().enumerate() {
            *present |= row.has(step);
        }
    }
    Ok(all)
}

/// Keeps the samples of `rows` whose partner's presence is `wanted`.
fn filter(
    ctx: &Context<'_>,
    rows: &mut Vec<Row>,
    b: &VectorBinary,
    other: &Presence,
    wanted: bool,
) -> Result<(), EngineError> {
    for row in rows.iter_mut() {
        ctx.check()?;
        let partner = other.get(&signature(&row.labels, &b.matching));
        for step in 0..row.floats.len() {
            if partner.is_some_and(|p| p[step]) != wanted {
                row.clear(step);
            }
        }
    }
    rows.retain(|r| !r.is_empty());
    Ok(())
}

/// The rows of a set operator.
pub(super) fn combine(
    ctx: &Context<'_>,
    grid: Grid,
    b: &VectorBinary,
    mut lhs: Vec<Row>,
    mut rhs: Vec<Row>,
) -> Result<Vec<Row>, EngineError> {
    ctx.check()?;
    let _room = ctx.room(lhs.len() + rhs.len(), grid.steps.div_ceil(8))?;
    let presence = |rows: &[Row]| presence(ctx, rows, b, grid.steps);
    match b.op {
        BinaryOp::And => filter(ctx, &mut lhs, b, &presence(&rhs)?, true)?,
        BinaryOp::Unless => filter(ctx, &mut lhs, b, &presence(&rhs)?, false)?,
        _ => {
            filter(ctx, &mut rhs, b, &presence(&lhs)?, false)?;
            lhs.append(&mut rhs);
            // An instant vector is checked once names have been dropped.
            if !(grid.is_instant() && ctx.options.delayed_name_removal) {
                return merge_same(lhs);
            }
        }
    }
    Ok(lhs)
}
