//! Evaluation of a plan.
//!
//! Scalars are evaluated to one number a step, vectors to a stream of
//! [`row::Batch`]es: rows of one cell a step. An operator works on whole rows;
//! nothing is evaluated step by step but what depends on other series of the
//! same step (set operators, `topk`, …).

mod aggregate;
mod ahead;
pub(crate) mod arc;
mod binary;
mod context;
pub(crate) mod date;
mod explain;
pub(crate) mod functions;
pub(crate) mod histogram;
mod info;
mod kahan;
mod ledger;
mod meter;
pub(crate) mod number;
mod range;
mod result;
mod row;
mod scalar;
mod select;
mod smooth;
mod stream;
mod tally;
mod twins;
mod work;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use self::context::Context;
use self::explain::{Estimates, Show};
use self::functions::{absent, date as date_functions, histograms, labels, map, sort};
use self::row::{Batch, Row};
use self::select::Take;
use self::stream::{BatchStream, gather, merge_same};
pub(crate) use self::work::Workers;
use crate::annotations::Severity;
use crate::ast::{Expr, ValueType};
use crate::engine::{Cancel, EngineError, EngineOptions, Query};
use crate::explain::PlanNode;
use crate::plan::{Input, Node, Op};
use crate::source::{MemoryBudget, SeriesSource};
use crate::value::QueryOutput;

/// Evaluates one parsed query.
pub(crate) async fn run(
    (options, workers): (&EngineOptions, &Workers),
    query: &Query,
    expr: &Expr,
    source: Arc<dyn SeriesSource>,
    budget: Arc<dyn MemoryBudget>,
    cancel: Cancel,
) -> Result<QueryOutput, EngineError> {
    let plan = crate::plan::plan(options, query, expr)?;
    let estimates = match query.analyze {
        true => Some(Estimates::ask(&plan, &source).await?),
        false => None,
    };
    let ctx = Context::new((options, workers), source, budget, cancel, (query, &plan));
    ahead::begin(&ctx, &plan);
    let value = result::value(&ctx, query, &plan.root).await?;
    let annotations = ctx.take_annotations();
    let text = &query.text;
    let show = |estimates: &Estimates| Show::new((text, &plan), estimates, Some(&ctx)).root();
    Ok(QueryOutput {
        value,
        plan: estimates.as_ref().map(show),
        warnings: annotations.render(&query.text, Severity::Warning),
        infos: annotations.render(&query.text, Severity::Info),
        stats: ctx.stats(&plan),
    })
}

/// Plans one parsed query, and tells what it is expected to cost.
pub(crate) async fn explain(
    options: &EngineOptions,
    query: &Query,
    expr: &Expr,
    source: &Arc<dyn SeriesSource>,
) -> Result<PlanNode, EngineError> {
    let plan = crate::plan::plan(options, query, expr)?;
    let estimates = Estimates::ask(&plan, source).await?;
    Ok(Show::new((&query.text, &plan), &estimates, None).root())
}

/// Evaluates a vector, as operators see it.
pub(crate) fn vector<'a>(ctx: &'a Context<'a>, node: &'a Node) -> BatchStream<'a> {
    let all = series(ctx, node);
    if !matches!(node.op, Op::LabelReplace(_) | Op::LabelJoin(_) | Op::Negate(_) | Op::Plus(_)) {
        return all;
    }
    let seen = |mut batch: Batch| {
        batch.rows.iter_mut().for_each(Row::hide_histograms);
        batch
    };
    all.map_ok(seen).boxed()
}

/// Evaluates a vector to whole series, in which a float and a histogram may
/// share a step. What a batch of it holds is the node's.
pub(crate) fn series<'a>(ctx: &'a Context<'a>, node: &'a Node) -> BatchStream<'a> {
    let owned = |mut batch: Batch| {
        batch.hold.assign(node.part);
        batch
    };
    let batches = match ctx.twin(node.part) {
        Some(twin) => twins::rows(ctx, node, twin),
        None => distinct(ctx, node),
    };
    let batches = batches.map_ok(owned).boxed();
    let Some(meter) = ctx.meter(node.part) else { return batches };
    // What a selector reads is counted where it reads it.
    let passed_on = node.selector().is_none() && !matches!(node.op, Op::Info(_));
    let counted = move |batch: &Batch| {
        if passed_on {
            meter.count(batch.rows.len(), batch.rows.iter().map(Row::samples).sum());
        }
    };
    meter.watch(batches).inspect_ok(counted).boxed()
}

/// What a part evaluates to, no series twice where that must not be.
fn distinct<'a>(ctx: &'a Context<'a>, node: &'a Node) -> BatchStream<'a> {
    match repeats(node) {
        true => map::merged(ctx, batches(ctx, node), merge_same),
        false => batches(ctx, node),
    }
}

/// Whether a series may come twice from what is evaluated once: an instant is
/// checked for that at its end only, when names are dropped there (see
/// `histogram_quantiles`), but ranges are in each operator.
fn repeats(node: &Node) -> bool {
    let once = |i: &Input<'_>| match i {
        Input::Node(n) => matches!(n.op, Op::Invariant(_)) && n.value_type == ValueType::Vector,
        Input::Range(_) => false,
    };
    !node.grid.is_instant() && node.inputs().iter().any(once)
}

fn batches<'a>(ctx: &'a Context<'a>, node: &'a Node) -> BatchStream<'a> {
    // What no step of a subquery falls into is not evaluated, nor has errors.
    if node.grid.steps == 0 {
        return nothing();
    }
    match &node.op {
        Op::Select(s) => select::rows(ctx, node, s, Take::Value),
        Op::Timestamp(s) => map::dropping(ctx, select::rows(ctx, node, s, Take::Time)),
        Op::StartTimestamp(_) if !ctx.options.start_timestamps => nothing(),
        Op::StartTimestamp(s) => map::dropping(ctx, select::rows(ctx, node, s, Take::Start)),
        Op::TimestampOf(arg) => map::timestamps(ctx, node.grid, arg),
        Op::Range(call) => range::rows(ctx, node, call),
        Op::Map(f, arg) => map::floats(ctx, vector(ctx, arg), |_, v| Some(f(v))),
        Op::Clamp(arg, min, max) => map::clamp(ctx, arg, min.as_deref(), max.as_deref()),
        Op::Round(arg, nearest) => map::round(ctx, arg, nearest.as_deref()),
        Op::Negate(arg) => map::negate(ctx, arg),
        Op::Date(part, arg) => date_functions::rows(ctx, node.grid, *part, arg.as_deref()),
        Op::HistogramMap(func, arg) => histograms::map(ctx, *func, arg),
        Op::HistogramQuantile(q, arg) => histograms::quantile(ctx, node, q, arg),
        Op::HistogramQuantiles(arg, label, qs) => histograms::quantiles(ctx, node, arg, label, qs),
        Op::HistogramFraction(lower, upper, arg) => {
            histograms::fraction(ctx, node, lower, upper, arg)
        }
        Op::VectorScalar(b)
            if !matches!(b.vector.op, Op::VectorScalar(_) | Op::VectorBinary(_)) =>
        {
            binary::with_scalar(ctx, node, b)
        }
        Op::Plus(arg) => series(ctx, arg),
        Op::Unused(arg) => {
            vector(ctx, arg).filter_map(|batch| std::future::ready(batch.err().map(Err))).boxed()
        }
        Op::Nothing => nothing(),
        Op::Fail(e) => futures::stream::once(std::future::ready(Err(e.clone()))).boxed(),
        Op::Invariant(inner) => invariant(ctx, node, inner),
        Op::VectorOf(_)
        | Op::Absent(..)
        | Op::AbsentOverTime(..)
        | Op::LabelReplace(_)
        | Op::LabelJoin(_)
        | Op::Sort { .. }
        | Op::SortByLabel { .. }
        | Op::Info(_)
        | Op::VectorScalar(_)
        | Op::VectorBinary(_)
        | Op::Aggregate(_) => futures::stream::once(whole(ctx, node)).boxed(),
        Op::Number(_)
        | Op::String(_)
        | Op::Time
        | Op::ScalarOf(_)
        | Op::ScalarBinary(..)
        | Op::ScalarNegate(_)
        | Op::MinOf(..)
        | Op::MaxOf(..)
        | Op::Matrix(_) => {
            let error = Err(EngineError::invalid("expected an instant vector"));
            futures::stream::once(async { error }).boxed()
        }
    }
}

fn nothing<'a>() -> BatchStream<'a> {
    futures::stream::empty().boxed()
}

/// The operators that make a whole vector at once.
async fn whole<'a>(ctx: &'a Context<'a>, node: &'a Node) -> Result<Batch, EngineError> {
    ctx.check()?;
    match &node.op {
        Op::VectorOf(s) => {
            let scalars = scalar::scalar(ctx, s).await?;
            let mut row = Row::empty(varve_model::Labels::empty(), node.grid.steps);
            row.floats.copy_from_slice(scalars.values());
            ctx.batch(vec![row])
        }
        Op::Absent(arg, labels) => absent::absent(ctx, node, arg, labels).await,
        Op::AbsentOverTime(source, labels) => range::absent(ctx, node.grid, source, labels).await,
        Op::LabelReplace(call) => labels::replace(ctx, call).await,
        Op::LabelJoin(call) => labels::join(ctx, call).await,
        Op::Sort { arg, descending } => sort::by_value(ctx, node, arg, *descending).await,
        Op::SortByLabel { arg, labels, descending } => {
            sort::by_label(ctx, node, arg, labels, *descending).await
        }
        Op::Info(call) => info::info(ctx, node, call).await,
        Op::VectorBinary(_) | Op::VectorScalar(_) => binary::chain(ctx, node).await,
        Op::Aggregate(a) => aggregate::aggregate(ctx, node, a).await,
        _ => Err(EngineError::invalid("expected an instant vector")),
    }
}

/// Evaluates once and repeats the answer at every step.
fn invariant<'a>(ctx: &'a Context<'a>, node: &'a Node, inner: &'a Node) -> BatchStream<'a> {
    let steps = node.grid.steps;
    let stream = vector(ctx, inner).and_then(move |batch| async move {
        let _room = ctx.room(batch.rows.len(), steps)?;
        let rows = batch.rows.iter().map(|once| {
            ctx.check()?;
            let mut row = Row::empty(once.labels.clone(), steps);
            row.drop_name = once.drop_name;
            (0..steps).for_each(|step| row.set(step, once.cell(0)));
            Ok(row)
        });
        ctx.batch(rows.collect::<Result<_, EngineError>>()?)
    });
    stream.boxed()
}

/// A whole vector.
pub(crate) async fn whole_vector<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
) -> Result<Batch, EngineError> {
    gather(ctx, series(ctx, node)).await
}
