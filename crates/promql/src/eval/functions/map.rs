//! Functions that go over a vector row by row: a number in, a number out, the
//! name dropped, histograms left out.

use futures::{StreamExt, TryStreamExt};

use crate::ast::BinaryOp;
use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::{Batch, Row, absent, is_absent, without_name};
use crate::eval::scalar::{Scalars, behind, scalar};
use crate::eval::stream::{BatchStream, gather, merge_same, merge_series};
use crate::plan::{Grid, Node};

/// Applies `f` to every float, given its step; `None` removes the sample.
pub(crate) fn floats<'a>(
    ctx: &'a Context<'a>,
    stream: BatchStream<'a>,
    f: impl Fn(usize, f64) -> Option<f64> + Send + 'a,
) -> BatchStream<'a> {
    let mapped = stream.map(move |batch| {
        let mut batch = batch?;
        for row in &mut batch.rows {
            ctx.check()?;
            row.histograms = None;
            for (step, v) in row.floats.iter_mut().enumerate() {
                if !is_absent(*v) {
                    *v = f(step, *v).unwrap_or_else(absent);
                }
            }
            drop_name(ctx, row);
        }
        batch.rows.retain(|r| !r.is_empty());
        Ok(batch)
    });
    unique(ctx, mapped.boxed())
}

/// Drops the name of a row, at once or at the end.
pub(crate) fn drop_name(ctx: &Context<'_>, row: &mut Row) {
    row.drop_name = true;
    if !ctx.options.delayed_name_removal {
        row.labels = without_name(&row.labels);
    }
}

/// Makes one row of those that have the same labels now that names were
/// dropped at once.
pub(crate) fn unique<'a>(ctx: &'a Context<'a>, stream: BatchStream<'a>) -> BatchStream<'a> {
    match ctx.options.delayed_name_removal {
        true => stream,
        false => merged(ctx, stream, merge_same),
    }
}

/// Makes one row of those that have the same labels, as `merge` says.
pub(crate) fn merged<'a>(
    ctx: &'a Context<'a>,
    stream: BatchStream<'a>,
    merge: fn(Vec<Row>) -> Result<Vec<Row>, EngineError>,
) -> BatchStream<'a> {
    futures::stream::once(async move {
        let Batch { rows, hold } = gather(ctx, stream).await?;
        Ok(Batch { rows: merge(rows)?, hold })
    })
    .boxed()
}

/// The numbers of an optional scalar argument.
async fn optional(ctx: &Context<'_>, node: Option<&Node>) -> Result<Option<Scalars>, EngineError> {
    match node {
        Some(node) => scalar(ctx, node).await.map(Some),
        None => Ok(None),
    }
}

/// `clamp`, `clamp_min`, `clamp_max`
pub(crate) fn clamp<'a>(
    ctx: &'a Context<'a>,
    arg: &'a Node,
    min: Option<&'a Node>,
    max: Option<&'a Node>,
) -> BatchStream<'a> {
    futures::stream::once(async move {
        let bounds = async { Ok((optional(ctx, min).await?, optional(ctx, max).await?)) };
        let (min, max) = behind(ctx, arg, bounds).await?;
        Ok::<_, EngineError>(floats(ctx, crate::eval::vector(ctx, arg), move |step, v| {
            let low = min.as_ref().map_or(f64::NEG_INFINITY, |m| m.at(step));
            let high = max.as_ref().map_or(f64::INFINITY, |m| m.at(step));
            super::math::clamp(v, low, high)
        }))
    })
    .try_flatten()
    .boxed()
}

/// `round`
pub(crate) fn round<'a>(
    ctx: &'a Context<'a>,
    arg: &'a Node,
    nearest: Option<&'a Node>,
) -> BatchStream<'a> {
    futures::stream::once(async move {
        let nearest = behind(ctx, arg, optional(ctx, nearest)).await?;
        Ok::<_, EngineError>(floats(ctx, crate::eval::vector(ctx, arg), move |step, v| {
            let nearest = nearest.as_ref().map_or(1.0, |n| n.at(step));
            Some(super::math::round(v, nearest))
        }))
    })
    .try_flatten()
    .boxed()
}

/// `-x`
pub(crate) fn negate<'a>(ctx: &'a Context<'a>, arg: &'a Node) -> BatchStream<'a> {
    let mapped = crate::eval::series(ctx, arg).map(move |batch| {
        let mut batch = batch?;
        for row in &mut batch.rows {
            ctx.check()?;
            for v in row.floats.iter_mut().filter(|v| !is_absent(**v)) {
                *v = -*v;
            }
            for h in row.histograms.iter_mut().flat_map(|h| h.iter_mut().flatten()) {
                *h = crate::eval::histogram::scaled(h, BinaryOp::Mul, -1.0);
            }
            drop_name(ctx, row);
        }
        Ok(batch)
    });
    match ctx.options.delayed_name_removal {
        true => mapped.boxed(),
        false => merged(ctx, mapped.boxed(), merge_series),
    }
}

/// The rows with their names dropped.
pub(crate) fn dropping<'a>(ctx: &'a Context<'a>, stream: BatchStream<'a>) -> BatchStream<'a> {
    let mapped = stream.map(move |batch| {
        let mut batch = batch?;
        batch.rows.iter_mut().for_each(|row| drop_name(ctx, row));
        Ok(batch)
    });
    unique(ctx, mapped.boxed())
}

/// `timestamp` of samples that an expression made: the time of their step.
pub(crate) fn timestamps<'a>(ctx: &'a Context<'a>, grid: Grid, arg: &'a Node) -> BatchStream<'a> {
    let mapped = crate::eval::vector(ctx, arg).map(move |batch| {
        let mut batch = batch?;
        for row in &mut batch.rows {
            ctx.check()?;
            for step in (0..grid.steps).filter(|s| row.has(*s)).collect::<Vec<_>>() {
                row.floats[step] = grid.time(step) as f64 / 1000.0;
            }
            row.histograms = None;
        }
        Ok(batch)
    });
    dropping(ctx, mapped.boxed())
}
