//! Functions of ranges: each series is decoded once, and one window slides
//! over its samples for all steps.

mod changes;
mod extended;
mod over_time;
mod rate;
mod regression;
mod source;
mod window;

use std::sync::Arc;

use futures::StreamExt;
use futures::TryStreamExt;
use varve_model::{Histogram, LabelSet, Labels};

use self::source::pieces;
pub(crate) use extended::interpolate;
pub(crate) use rate::{Edges, Kind as RateKind, is_start_reset, overlaps as starts_overlap};
pub(crate) use source::{RangeSeries, series};
pub(crate) use window::{Floats, Histograms, Slide, Window};

use super::context::{Context, Hold};
use super::row::{Batch, Row, without_name};
use super::scalar::{Scalars, behind, scalar};
use super::stream::{BatchStream, SAME_LABELS};
use super::tally::{self, Counts};
use super::work::spread;
use crate::annotations::Annotation;
use crate::ast::Span;
use crate::engine::EngineError;
use crate::plan::{Grid, Node, RangeCall, RangeFn, RangeFrom, RangeSource};

/// Samples that windows may have held since the query was last checked: a
/// millisecond of sorting them.
const SAMPLES_UNCHECKED: usize = 1 << 14;
/// How many floats a histogram is work for, about.
const HISTOGRAM_WORK: usize = 16;
/// Memory of an entry in a set of labels, besides the labels.
const SEEN_BYTES: usize = 32;

/// What a function makes of a window.
pub(crate) enum Output {
    Nothing,
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// What a function knows besides its window.
pub(crate) struct Scope<'a> {
    pub(crate) ctx: &'a Context<'a>,
    /// The labels of the series.
    pub(crate) labels: &'a Labels,
    /// Where the call stands.
    call: Span,
    /// Where annotations point to.
    pub(crate) span: Span,
    /// The length of the window in seconds.
    pub(crate) range_seconds: f64,
}

impl Scope<'_> {
    /// The name of the metric.
    pub(crate) fn metric(&self) -> &str {
        self.labels.metric_name()
    }

    /// Says something about the answer.
    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.ctx.annotate(annotation.by(self.call));
    }
}

/// The rows of a range function.
pub(crate) fn rows<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    call: &'a RangeCall,
) -> BatchStream<'a> {
    let grid = node.grid;
    let stream = futures::stream::once(async move {
        let params = async {
            let mut params = Vec::with_capacity(call.params.len());
            for p in &call.params {
                params.push(scalar(ctx, p).await?);
            }
            Ok(params)
        };
        let params = match call.source.subquery() {
            Some(inner) => behind(ctx, inner, params).await?,
            None => params.await?,
        };
        let batches = spread(ctx, pieces(ctx, grid, &call.source), move |piece| {
            let batch = piece.series(ctx, grid, &call.source)?;
            let _room = ctx.room(batch.series.len(), grid.steps)?;
            let mut rows = Vec::with_capacity(batch.series.len());
            let (mut counters, mut scratch) = (CounterNames::default(), Vec::new());
            let mut counts = Counts::new(grid.steps);
            for s in &batch.series {
                ctx.check()?;
                rows.push(row(ctx, node, call, &params, s, &mut scratch, &mut counts)?);
                if matches!(call.func, RangeFn::Rate | RangeFn::Increase) {
                    counters.check(
                        ctx,
                        (node.span, call.first_arg),
                        &s.labels,
                        &rows[rows.len() - 1],
                    );
                }
            }
            ctx.count(call.source.scope, &counts)?;
            ctx.batch(rows)
        });
        Ok::<_, EngineError>(batches)
    });
    let stream = stream.try_flatten().boxed();
    match ctx.options.delayed_name_removal {
        true => stream,
        false => unique(ctx, stream),
    }
}

/// With names dropped at once, two series may have become one.
fn unique<'a>(ctx: &'a Context<'a>, stream: BatchStream<'a>) -> BatchStream<'a> {
    let mut seen = LabelSet::default();
    let mut held: Option<Hold> = None;
    let checked = stream.map(move |batch| {
        let batch = batch?;
        let bytes = batch.rows.iter().map(|r| r.labels.memory() + SEEN_BYTES).sum();
        let hold = ctx.hold(bytes, 0)?;
        match &mut held {
            Some(held) => held.merge(hold),
            None => held = Some(hold),
        }
        match batch.rows.iter().all(|row| seen.insert(row.labels.clone())) {
            true => Ok(batch),
            false => Err(EngineError::execution(SAME_LABELS)),
        }
    });
    checked.boxed()
}

/// One series on the grid.
fn row(
    ctx: &Context<'_>,
    node: &Node,
    call: &RangeCall,
    params: &[Scalars],
    s: &RangeSeries,
    scratch: &mut Vec<f64>,
    counts: &mut Counts,
) -> Result<Row, EngineError> {
    let (source, grid) = (&call.source, node.grid);
    let scope = Scope {
        ctx,
        labels: &s.labels,
        call: node.span,
        span: call.first_arg,
        range_seconds: source.range as f64 / 1000.0,
    };
    let drop_name = s.drop_name || !call.func.keeps_name();
    let labels = match drop_name && !ctx.options.delayed_name_removal {
        true => without_name(&s.labels),
        false => s.labels.clone(),
    };
    let mut row = Row::empty(labels, grid.steps);
    row.drop_name = drop_name;
    let prepared = rate::Resets::of(ctx, call.func, s);
    let mut slide = Slide::new(s);
    let mut seen = 0;
    for step in 0..grid.steps {
        let window = slide.window(source, grid.time(step));
        if window.is_empty() {
            continue;
        }
        seen += window.floats.len() + HISTOGRAM_WORK * window.histograms.len();
        if seen >= SAMPLES_UNCHECKED {
            seen = 0;
            ctx.check()?;
        }
        let param = |i: usize| params.get(i).map_or(f64::NAN, |p| p.at(step));
        count(counts, grid, source, step, &window);
        let output = apply(&scope, call, &window, &prepared, param, scratch)?;
        match output {
            Output::Nothing => {}
            Output::Float(v) => row.floats[step] = v,
            Output::Histogram(h) => row.set_histogram(step, h),
        }
    }
    Ok(row)
}

fn apply(
    scope: &Scope<'_>,
    call: &RangeCall,
    window: &Window<'_>,
    resets: &rate::Resets,
    param: impl Fn(usize) -> f64,
    scratch: &mut Vec<f64>,
) -> Result<Output, EngineError> {
    let func = call.func;
    Ok(match func {
        RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
            let kind =
                rate::Kind { counter: func != RangeFn::Delta, per_second: func == RangeFn::Rate };
            match call.source.extended {
                None => rate::extrapolated(scope, window, resets, kind)?,
                Some(extended) => extended::rate(scope, window, extended, kind)?,
            }
        }
        RangeFn::Irate => rate::instant(scope, window, true)?,
        RangeFn::Idelta => rate::instant(scope, window, false)?,
        RangeFn::Resets => changes::resets(scope, window, call.source.extended)?,
        RangeFn::Changes => changes::changes(window, call.source.extended)?,
        RangeFn::Deriv => regression::deriv(scope, window),
        RangeFn::PredictLinear => regression::predict_linear(scope, window, param(0)),
        RangeFn::DoubleExponentialSmoothing => {
            regression::double_exponential(scope, window, param(0), param(1))?
        }
        RangeFn::Sum => over_time::sum(scope, window)?,
        RangeFn::Avg => over_time::avg(scope, window)?,
        RangeFn::Min | RangeFn::Max | RangeFn::TsOfMin | RangeFn::TsOfMax => {
            over_time::extreme(scope, window, func)
        }
        RangeFn::Count => Output::Float((window.floats.len() + window.histograms.len()) as f64),
        RangeFn::First => over_time::first(window),
        RangeFn::Last => over_time::last(window),
        RangeFn::Present => Output::Float(1.0),
        RangeFn::Stddev => over_time::variance(scope, window, f64::sqrt),
        RangeFn::Stdvar => over_time::variance(scope, window, |v| v),
        RangeFn::Quantile => over_time::quantile(scope, window, param(0), scratch),
        RangeFn::Mad => over_time::mad(scope, window, scratch),
        RangeFn::TsOfFirst => over_time::ts_of_first(window),
        RangeFn::TsOfLast => over_time::ts_of_last(window),
    })
}

/// Says once a metric that `rate` may be the wrong function for it.
#[derive(Default)]
struct CounterNames {
    last: String,
}

impl CounterNames {
    fn check(&mut self, ctx: &Context<'_>, (call, span): (Span, Span), labels: &Labels, row: &Row) {
        let name = labels.metric_name();
        if name.is_empty() || row.floats.iter().all(|v| super::row::is_absent(*v)) {
            return;
        }
        if ctx.options.type_and_unit_labels {
            let kind = labels.get("__type__");
            if kind != "counter" && kind != "histogram" {
                let text = Annotation::possible_non_counter_label(name, kind, span);
                ctx.annotate(text.by(call));
            }
            return;
        }
        let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s));
        if !counter && self.last != name {
            ctx.annotate(Annotation::possible_non_counter(name, span).by(call));
            name.clone_into(&mut self.last);
        }
    }
}

/// `absent_over_time`: one series for the steps at which no series has a sample.
pub(crate) async fn absent<'a>(
    ctx: &'a Context<'a>,
    grid: Grid,
    source: &'a RangeSource,
    labels: &Labels,
) -> Result<Batch, EngineError> {
    let _room = ctx.room(1, grid.steps)?;
    let mut found = vec![false; grid.steps];
    let mut batches = series(ctx, grid, source);
    while let Some(batch) = batches.next().await {
        let mut counts = Counts::new(grid.steps);
        for s in batch?.series {
            ctx.check()?;
            let mut slide = Slide::new(&s);
            for (step, found) in found.iter_mut().enumerate() {
                let window = slide.window(source, grid.time(step));
                *found |= !window.is_empty();
                count(&mut counts, grid, source, step, &window);
            }
        }
        ctx.count(source.scope, &counts)?;
    }
    let mut row = Row::empty(labels.clone(), grid.steps);
    row.drop_name = true;
    for (step, _) in found.iter().enumerate().filter(|(_, f)| !**f) {
        row.floats[step] = 1.0;
    }
    ctx.batch(vec![row])
}

/// A matrix at the top of an instant query.
pub(crate) async fn matrix<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    source: &'a RangeSource,
) -> Result<(Vec<RangeSeries>, super::context::Hold), EngineError> {
    let mut all = Vec::new();
    let mut hold = ctx.hold(0, 0)?;
    let mut counts = Counts::new(1);
    let mut batches = series(ctx, node.grid, source);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        ctx.check()?;
        for s in batch.series {
            ctx.check()?;
            let mut slide = Slide::new(&s);
            let window = slide.window(source, node.grid.start);
            let cut = match source.extended {
                None => window.to_series(&s),
                Some(extended) => extended::cut(&s, &window, extended)?,
            };
            if !cut.floats.is_empty() || !cut.histograms.is_empty() {
                let samples = cut.floats.len() + cut.histograms.len();
                if matches!(source.from, RangeFrom::Series { .. }) {
                    let sizes = cut.histograms.values.iter().map(tally::size);
                    let n = cut.floats.len() as u64 + sizes.sum::<u64>();
                    counts.touched[0] += n;
                    counts.read[0] += n;
                }
                hold.merge(ctx.hold(cut.memory(), samples as u64)?);
                all.push(cut);
            }
        }
    }
    ctx.count(source.scope, &counts)?;
    Ok((all, hold))
}

/// Counts the samples of a window, and which of them the step before did not
/// see. Those of subqueries were counted where they were made.
fn count(counts: &mut Counts, grid: Grid, source: &RangeSource, step: usize, w: &Window<'_>) {
    let sizes = |from: usize| w.histograms.values[from..].iter().map(tally::size).sum::<u64>();
    let all = w.floats.len() as u64 + sizes(0);
    counts.touched[step] += all;
    if matches!(source.from, RangeFrom::Subquery(_)) {
        return;
    }
    if step == 0 {
        counts.read[0] += all;
    } else if source.lookup.at.is_none() {
        let (_, after) = source.margins();
        let seen = w.end.saturating_add(after).saturating_sub(grid.step);
        // Most steps see a few new samples behind many old ones.
        let new = |times: &[i64]| times.iter().rev().take_while(|t| **t > seen).count();
        let histograms = w.histograms.len() - new(w.histograms.times);
        counts.read[step] += new(w.floats.times) as u64 + sizes(histograms);
    }
}
