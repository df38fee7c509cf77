//! Functions of histograms, classic (series with `le`) and native.
//!
//! Classic buckets are grouped by their labels once; per step only the counts
//! are gathered. Where a classic and a native histogram have the same labels,
//! neither has a result.

use futures::StreamExt;
use varve_model::{Histogram, LabelMap, Labels};

use super::buckets::{self, Bucket};
use super::fixes::Fixes;
use super::map::{drop_name, unique};
use crate::annotations::Annotation;
use crate::ast::Span;
use crate::engine::EngineError;
use crate::eval::context::{Context, Hold};
use crate::eval::histogram;
use crate::eval::row::{Batch, Row, is_absent};
use crate::eval::scalar::{Scalars, behind, scalar};
use crate::eval::stream::{BatchStream, gather};
use crate::plan::{HistogramMap, Node};

/// The label that carries a bucket's upper bound.
const LE: &str = "le";

/// `histogram_count` and the like: a number for each native histogram.
pub(crate) fn map<'a>(ctx: &'a Context<'a>, func: HistogramMap, arg: &'a Node) -> BatchStream<'a> {
    let mapped = crate::eval::vector(ctx, arg).map(move |batch| {
        let Batch { rows, hold } = batch?;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            ctx.check()?;
            let Some(histograms) = &row.histograms else { continue };
            let mut mapped = Row::empty(row.labels.clone(), row.floats.len());
            for (step, h) in histograms.iter().enumerate() {
                if let Some(h) = h {
                    mapped.floats[step] = match func {
                        HistogramMap::Count => h.count(),
                        HistogramMap::Sum => h.sum,
                        HistogramMap::Avg => h.sum / h.count(),
                        HistogramMap::Stddev => histogram::quantile::variance(h).sqrt(),
                        HistogramMap::Stdvar => histogram::quantile::variance(h),
                    };
                }
            }
            drop_name(ctx, &mut mapped);
            out.push(mapped);
        }
        out.retain(|r| !r.is_empty());
        Ok(Batch { rows: out, hold })
    });
    unique(ctx, mapped.boxed())
}

/// Classic buckets with the same labels but for `le`.
struct Group {
    labels: Labels,
    /// Upper bound, and which row.
    buckets: Vec<(f64, usize)>,
}

/// A vector sorted into histograms.
struct Sorted {
    rows: Vec<Row>,
    groups: Vec<Group>,
    /// Rows with native histograms, and the group with the same labels.
    natives: Vec<(usize, Option<usize>)>,
    span: Span,
    steps: usize,
}

/// One histogram at one step.
enum One<'a> {
    Classic(&'a mut [Bucket]),
    Native(&'a Histogram),
}

impl Sorted {
    fn of(ctx: &Context<'_>, rows: Vec<Row>, span: Span, steps: usize) -> Self {
        let mut index: LabelMap<usize> = LabelMap::default();
        let mut groups: Vec<Group> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if row.floats.iter().all(|v| is_absent(*v)) {
                continue;
            }
            let le = row.labels.get(LE);
            let Ok(bound) = le.parse::<f64>() else {
                let name = reported_name(ctx, &row.labels);
                ctx.annotate(Annotation::bad_bucket_label(name, le, span));
                continue;
            };
            let labels = row.labels.filter(|name| name != LE);
            let group = *index.entry(labels.clone()).or_insert_with(|| {
                groups.push(Group { labels, buckets: Vec::new() });
                groups.len() - 1
            });
            groups[group].buckets.push((bound, i));
        }
        let native = rows.iter().enumerate().filter(|(_, r)| r.has_histograms());
        let natives = native.map(|(i, r)| (i, index.get(&r.labels).copied())).collect();
        Self { rows, groups, natives, span, steps }
    }

    /// Whether a group has a bucket at a step.
    fn has_buckets(&self, group: usize, step: usize) -> bool {
        let mut buckets = self.groups[group].buckets.iter();
        buckets.any(|(_, row)| !is_absent(self.rows[*row].floats[step]))
    }

    /// Makes one row a histogram: `f` gets each one at each step.
    fn rows(
        &self,
        ctx: &Context<'_>,
        mut f: impl FnMut(usize, &str, One<'_>) -> f64,
    ) -> Result<Vec<Row>, EngineError> {
        let mut out = Vec::with_capacity(self.natives.len() + self.groups.len());
        let mut conflicts = vec![Vec::new(); self.groups.len()];
        let _room = ctx.room(self.natives.len() + self.groups.len(), self.steps)?;
        for (i, group) in &self.natives {
            ctx.check()?;
            let source = &self.rows[*i];
            let name = reported_name(ctx, &source.labels);
            let mut row = Row::empty(source.labels.clone(), self.steps);
            for (step, h) in source.histograms.iter().flat_map(|h| h.iter().enumerate()) {
                let Some(h) = h else { continue };
                if let Some(g) = group.filter(|g| self.has_buckets(*g, step)) {
                    ctx.annotate(Annotation::mixed_classic_native(name, self.span));
                    conflicts[g].push(step);
                    continue;
                }
                row.floats[step] = f(step, name, One::Native(h));
            }
            drop_name(ctx, &mut row);
            out.push(row);
        }
        let mut scratch = Vec::new();
        for (g, group) in self.groups.iter().enumerate() {
            ctx.check()?;
            let name = reported_name(ctx, &group.labels);
            let mut row = Row::empty(group.labels.clone(), self.steps);
            for step in 0..self.steps {
                scratch.clear();
                let present = group.buckets.iter().map(|(b, i)| (*b, self.rows[*i].floats[step]));
                let present = present.filter(|(_, count)| !is_absent(*count));
                scratch.extend(present.map(|(bound, count)| Bucket { bound, count }));
                if !scratch.is_empty() && !conflicts[g].contains(&step) {
                    row.floats[step] = f(step, name, One::Classic(&mut scratch));
                }
            }
            drop_name(ctx, &mut row);
            out.push(row);
        }
        Ok(out)
    }
}

/// The metric's name as annotations give it: not when it has been dropped.
fn reported_name<'l>(ctx: &Context<'_>, labels: &'l Labels) -> &'l str {
    if ctx.options.delayed_name_removal { labels.metric_name() } else { "" }
}

/// The quantile of one histogram at a step, with what is to be said about it.
fn quantile_of(
    ctx: &Context<'_>,
    q: f64,
    step: usize,
    name: &str,
    one: One<'_>,
    fixes: &mut Fixes<'_>,
) -> f64 {
    match one {
        One::Native(h) => histogram::quantile::quantile(ctx, q, h, name, fixes.span),
        One::Classic(all) => {
            let (value, forced) = buckets::quantile(q, all);
            if let Some(forced) = forced {
                fixes.note(step, name, &forced);
            }
            value
        }
    }
}

fn check_quantiles(ctx: &Context<'_>, node: &Node, quantiles: &Scalars, span: Span) {
    for q in quantiles.values().iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        ctx.annotate(Annotation::invalid_quantile(*q, span).by(node.span));
    }
}

/// `histogram_quantile(q, arg)`
pub(crate) fn quantile<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    q: &'a Node,
    arg: &'a Node,
) -> BatchStream<'a> {
    let stream = futures::stream::once(async move {
        let quantiles = scalar(ctx, q).await?;
        check_quantiles(ctx, node, &quantiles, q.span);
        let Batch { rows, hold: _hold } = gather(ctx, crate::eval::vector(ctx, arg)).await?;
        let sorted = Sorted::of(ctx, rows, arg.span, node.grid.steps);
        let mut fixes = Fixes::new(&node.grid, arg.span);
        let rows = sorted.rows(ctx, |step, name, one| {
            quantile_of(ctx, quantiles.at(step), step, name, one, &mut fixes)
        })?;
        fixes.tell(ctx);
        ctx.batch(rows)
    });
    unique(ctx, stream.boxed())
}

/// `histogram_quantiles(arg, label, q...)`
pub(crate) fn quantiles<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    arg: &'a Node,
    label: &'a str,
    qs: &'a [Node],
) -> BatchStream<'a> {
    let stream = futures::stream::once(async move {
        let all = behind(ctx, arg, async {
            let mut all = Vec::with_capacity(qs.len());
            for q in qs {
                let quantiles = scalar(ctx, q).await?;
                check_quantiles(ctx, node, &quantiles, q.span);
                all.push(quantiles);
            }
            Ok(all)
        });
        let all = all.await?;
        let Batch { rows, hold: _hold } = gather(ctx, crate::eval::vector(ctx, arg)).await?;
        let sorted = Sorted::of(ctx, rows, arg.span, node.grid.steps);
        let mut out = Vec::new();
        let mut room = ctx.hold(0, 0)?;
        let mut fixes = Fixes::new(&node.grid, arg.span);
        for (i, quantiles) in all.iter().enumerate() {
            let rows = sorted.rows(ctx, |step, name, mut one| {
                if let One::Classic(buckets) = &mut one {
                    buckets::asked(all[..i].iter().map(|q| q.at(step)), buckets);
                }
                quantile_of(ctx, quantiles.at(step), step, name, one, &mut fixes)
            })?;
            fixes.asked(quantiles);
            for row in rows {
                ctx.check()?;
                let (labelled, hold) = labelled(ctx, row, label, quantiles)?;
                out.extend(labelled);
                room.merge(hold);
            }
        }
        fixes.tell(ctx);
        // An instant vector is checked once names have been dropped.
        if !(node.grid.is_instant() && ctx.options.delayed_name_removal) {
            out = crate::eval::stream::merge_same(out)?;
        }
        ctx.batch(out)
    });
    unique(ctx, stream.boxed())
}

/// The row under the label of its quantile; one row a value when the quantile
/// changes from step to step.
fn labelled(
    ctx: &Context<'_>,
    row: Row,
    label: &str,
    quantiles: &Scalars,
) -> Result<(Vec<Row>, Hold), EngineError> {
    let mut bits: Vec<u64> = quantiles.values().iter().map(|q| q.to_bits()).collect();
    bits.sort_unstable();
    bits.dedup();
    let hold = ctx.room(bits.len(), row.floats.len())?;
    let of = |bits: u64| {
        let value = crate::number::open_metrics(f64::from_bits(bits));
        let mut part = row.clone();
        part.labels = part.labels.builder().set(label, &value).build();
        for (step, q) in quantiles.values().iter().enumerate() {
            if q.to_bits() != bits {
                part.clear(step);
            }
        }
        part
    };
    Ok((bits.into_iter().map(of).collect(), hold))
}

/// `histogram_fraction(lower, upper, arg)`
pub(crate) fn fraction<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    lower: &'a Node,
    upper: &'a Node,
    arg: &'a Node,
) -> BatchStream<'a> {
    let stream = futures::stream::once(async move {
        let (lower, upper) = (scalar(ctx, lower).await?, scalar(ctx, upper).await?);
        let Batch { rows, hold: _hold } = gather(ctx, crate::eval::vector(ctx, arg)).await?;
        let sorted = Sorted::of(ctx, rows, arg.span, node.grid.steps);
        ctx.batch(sorted.rows(ctx, |step, name, one| {
            let (low, high) = (lower.at(step), upper.at(step));
            match one {
                One::Classic(all) => buckets::fraction(low, high, all),
                One::Native(h) => histogram::quantile::fraction(ctx, low, high, h, name, arg.span),
            }
        })?)
    });
    unique(ctx, stream.boxed())
}
