//! Binary operators.
//!
//! Series are paired by the labels they are matched on once, for all steps;
//! what has to hold at each step by itself (unique matches, which sets are
//! empty) is checked on the cells of the pairs.

mod cell;
mod set;
mod vectors;

use futures::{StreamExt, TryStreamExt};
use varve_model::{Labels, METRIC_NAME};

pub(crate) use self::cell::Note;
use self::cell::{Outcome, apply};
use super::context::Context;
use super::functions::map::{drop_name, unique};
use super::row::{Batch, Cell};
use super::scalar::scalar;
use super::stream::{BatchStream, gather};
use crate::ast::VectorMatching;
use crate::engine::EngineError;
use crate::plan::{Node, VectorBinary, VectorScalar, changes_schema};

/// A vector and a scalar.
pub(crate) fn with_scalar<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    b: &'a VectorScalar,
) -> BatchStream<'a> {
    let stream = futures::stream::once(async move {
        let scalars = scalar(ctx, &b.scalar).await?;
        let mapped = super::vector(ctx, &b.vector).map(move |batch| {
            let mut batch = batch?;
            ctx.check()?;
            for row in &mut batch.rows {
                for step in 0..row.floats.len() {
                    let cell = row.cell(step);
                    let s = Cell::Float(scalars.at(step));
                    let (l, r) = if b.swapped { (s, cell) } else { (cell, s) };
                    let applied = match cell {
                        Cell::Absent => continue,
                        _ => apply(b.op, l, r),
                    };
                    if let Some(note) = applied.note {
                        ctx.annotate(note.annotation(b.op, node.span));
                    }
                    let outcome = match (applied.outcome, b.return_bool, applied.keep) {
                        (None, ..) | (_, false, false) => None,
                        (_, true, keep) => Some(Outcome::Float(f64::from(u8::from(keep)))),
                        // A comparison keeps the vector's value on either side.
                        (_, false, true) if b.op.is_comparison() => continue,
                        (outcome, ..) => outcome,
                    };
                    row.clear(step);
                    match outcome {
                        None => {}
                        Some(Outcome::Float(v)) => row.floats[step] = v,
                        Some(Outcome::Histogram(h)) => row.set_histogram(step, h),
                    }
                }
                if changes_schema(b.op) || b.return_bool {
                    drop_name(ctx, row);
                }
            }
            batch.rows.retain(|r| !r.is_empty());
            Ok(batch)
        });
        Ok::<_, EngineError>(mapped)
    });
    let stream = stream.try_flatten().boxed();
    match changes_schema(b.op) || b.return_bool {
        true => unique(ctx, stream),
        false => stream,
    }
}

/// Two vectors.
pub(crate) async fn vectors(
    ctx: &Context<'_>,
    node: &Node,
    b: &VectorBinary,
) -> Result<Batch, EngineError> {
    let Batch { rows: lhs, hold: _left } = gather(ctx, super::vector(ctx, &b.lhs)).await?;
    let Batch { rows: rhs, hold: _right } = gather(ctx, super::vector(ctx, &b.rhs)).await?;
    let rows = match b.op.is_set() {
        true => set::combine(ctx, node.grid, b, lhs, rhs)?,
        false => vectors::combine(ctx, node, b, &lhs, &rhs)?,
    };
    ctx.batch(rows)
}

/// The labels that a series is matched on.
fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    match matching.on {
        true => labels.filter(|name| matching.labels.iter().any(|l| l == name)),
        false => {
            labels.filter(|name| name != METRIC_NAME && !matching.labels.iter().any(|l| l == name))
        }
    }
}
