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
use super::scalar::{Scalars, behind, scalar};
use super::stream::{BatchStream, gather, merge_same};
use crate::ast::VectorMatching;
use crate::engine::EngineError;
use crate::plan::{Node, Op, VectorBinary, VectorScalar, changes_schema};

/// A vector and a scalar; the vector is no operator itself.
pub(crate) fn with_scalar<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    b: &'a VectorScalar,
) -> BatchStream<'a> {
    let stream = futures::stream::once(async move {
        let scalars = match b.swapped {
            true => scalar(ctx, &b.scalar).await?,
            false => behind(ctx, &b.vector, scalar(ctx, &b.scalar)).await?,
        };
        let vector = super::vector(ctx, &b.vector);
        let mapped = vector.map(move |batch| apply_scalar(ctx, node, b, &scalars, batch?));
        Ok::<_, EngineError>(mapped)
    });
    let stream = stream.try_flatten().boxed();
    if renames(b) { unique(ctx, stream) } else { stream }
}

/// Whether the result is another metric.
fn renames(b: &VectorScalar) -> bool {
    changes_schema(b.op) || b.return_bool
}

fn apply_scalar(
    ctx: &Context<'_>,
    node: &Node,
    b: &VectorScalar,
    scalars: &Scalars,
    mut batch: Batch,
) -> Result<Batch, EngineError> {
    for row in &mut batch.rows {
        ctx.check()?;
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
        if renames(b) {
            drop_name(ctx, row);
        }
    }
    batch.rows.retain(|r| !r.is_empty());
    Ok(batch)
}

/// A chain of operators on vectors, from its left end on.
pub(crate) async fn chain<'a>(ctx: &'a Context<'a>, node: &'a Node) -> Result<Batch, EngineError> {
    let (mut links, mut before) = (Vec::new(), Vec::new());
    let mut end = node;
    loop {
        let inner = match &end.op {
            Op::VectorBinary(b) => &b.lhs,
            Op::VectorScalar(b) => &b.vector,
            _ => break,
        };
        links.push(end);
        end = inner;
    }
    // Scalars on the left come before the vectors of all operators further in.
    for node in &links {
        if let Op::VectorScalar(b) = &node.op
            && b.swapped
        {
            before.push(scalar(ctx, &b.scalar).await?);
        }
    }
    let mut left = gather(ctx, super::vector(ctx, end)).await?;
    while let Some(node) = links.pop() {
        left = match &node.op {
            Op::VectorBinary(b) => {
                let right = gather(ctx, super::vector(ctx, &b.rhs)).await?;
                both(ctx, node, b, left, right)?
            }
            Op::VectorScalar(b) => {
                let known = if b.swapped { before.pop() } else { None };
                let scalars = match known {
                    Some(scalars) => scalars,
                    None => scalar(ctx, &b.scalar).await?,
                };
                let left = apply_scalar(ctx, node, b, &scalars, left)?;
                match renames(b) && !ctx.options.delayed_name_removal {
                    true => Batch { rows: merge_same(left.rows)?, hold: left.hold },
                    false => left,
                }
            }
            _ => return Err(EngineError::invalid("expected an operator")),
        };
    }
    Ok(left)
}

/// Two vectors.
fn both(
    ctx: &Context<'_>,
    node: &Node,
    b: &VectorBinary,
    lhs: Batch,
    rhs: Batch,
) -> Result<Batch, EngineError> {
    let rows = match b.op.is_set() {
        true => set::combine(ctx, node.grid, b, lhs.rows, rhs.rows)?,
        false => vectors::combine(ctx, node, b, &lhs.rows, &rhs.rows)?,
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
