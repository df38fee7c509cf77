//! Scalars: one number a step.

use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::context::{Context, Hold};
use super::number;
use super::row::{Cell, is_absent};
use super::stream::gather;
use crate::ast::BinaryOp;
use crate::engine::EngineError;
use crate::plan::{Node, Op};

/// The numbers of a scalar, one a step.
#[derive(Debug)]
pub(crate) struct Scalars {
    values: Vec<f64>,
    _hold: Hold,
}

impl Scalars {
    /// The number at a step.
    pub(crate) fn at(&self, step: usize) -> f64 {
        self.values[step]
    }

    /// All numbers.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    fn make(
        ctx: &Context<'_>,
        node: &Node,
        f: impl FnMut(usize) -> f64,
    ) -> Result<Self, EngineError> {
        let steps = node.grid.steps;
        let hold = ctx.hold(steps.saturating_mul(8), 0)?;
        Ok(Self { values: (0..steps).map(f).collect(), _hold: hold })
    }
}

/// Evaluates a scalar.
pub(crate) fn scalar<'a>(
    ctx: &'a Context<'_>,
    node: &'a Node,
) -> BoxFuture<'a, Result<Scalars, EngineError>> {
    let Some(meter) = ctx.meter(node.part) else { return evaluate(ctx, node) };
    async move {
        let begun = Instant::now();
        let scalars = evaluate(ctx, node).await;
        meter.took(begun.elapsed());
        meter.count(1, node.grid.steps as u64);
        scalars
    }
    .boxed()
}

/// Scalars that stand behind a vector. They are evaluated before it, as every
/// batch of it needs them; but of two errors that of the vector comes first.
pub(crate) async fn behind<T>(
    ctx: &Context<'_>,
    vector: &Node,
    scalars: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let scalars = scalars.await;
    if scalars.is_err() {
        gather(ctx, super::vector(ctx, vector)).await?;
    }
    scalars
}

fn evaluate<'a>(
    ctx: &'a Context<'_>,
    node: &'a Node,
) -> BoxFuture<'a, Result<Scalars, EngineError>> {
    async move {
        ctx.check()?;
        let zip = |a: Scalars, b: Scalars, f: &dyn Fn(f64, f64) -> f64| {
            Scalars::make(ctx, node, |i| f(a.at(i), b.at(i)))
        };
        match &node.op {
            Op::Number(v) => Scalars::make(ctx, node, |_| *v),
            Op::Time => Scalars::make(ctx, node, |i| node.grid.time(i) as f64 / 1000.0),
            Op::ScalarNegate(a) => {
                let a = scalar(ctx, a).await?;
                Scalars::make(ctx, node, |i| -a.at(i))
            }
            Op::ScalarBinary(..) => {
                let mut links: Vec<(BinaryOp, &Node)> = Vec::new();
                let mut end = node;
                while let Op::ScalarBinary(op, a, b) = &end.op {
                    links.push((*op, b));
                    end = a;
                }
                let mut left = scalar(ctx, end).await?;
                while let Some((op, b)) = links.pop() {
                    let right = scalar(ctx, b).await?;
                    left = zip(left, right, &|a, b| number::binary(op, a, b))?;
                }
                Ok(left)
            }
            Op::MinOf(a, b) => {
                let (a, b) = (scalar(ctx, a).await?, scalar(ctx, b).await?);
                zip(a, b, &number::min)
            }
            Op::MaxOf(a, b) => {
                let (a, b) = (scalar(ctx, a).await?, scalar(ctx, b).await?);
                zip(a, b, &number::max)
            }
            Op::Invariant(inner) => {
                let once = scalar(ctx, inner).await?;
                Scalars::make(ctx, node, |_| once.at(0))
            }
            Op::ScalarOf(vector) => {
                let batch = gather(ctx, super::vector(ctx, vector)).await?;
                Scalars::make(ctx, node, |i| {
                    let mut floats = batch.rows.iter().filter_map(|r| match r.cell(i) {
                        Cell::Float(v) if !is_absent(v) => Some(v),
                        _ => None,
                    });
                    match (floats.next(), floats.next()) {
                        (Some(v), None) => v,
                        _ => f64::NAN,
                    }
                })
            }
            Op::Fail(_) if node.grid.steps == 0 => Scalars::make(ctx, node, |_| f64::NAN),
            Op::Fail(e) => Err(e.clone()),
            _ => Err(EngineError::invalid("expected a scalar")),
        }
    }
    .boxed()
}
