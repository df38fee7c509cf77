//! topk, bottomk, limitk, limit_ratio: series stay what they are, but only
//! some of each group remain at each step.

use super::super::context::Context;
use super::super::row::{Batch, Row, is_absent};
use super::super::scalar::{Scalars, scalar};
use super::super::stream::gather;
use super::groups::Groups;
use super::heap::Best;
use crate::annotations::Annotation;
use crate::ast::AggregateOp;
use crate::engine::EngineError;
use crate::plan::{Aggregation, Node};

/// The rows that remain, best first in an instant query.
pub(super) async fn aggregate(
    ctx: &Context<'_>,
    node: &Node,
    a: &Aggregation,
) -> Result<Batch, EngineError> {
    let Some(param) = &a.param else {
        return Err(EngineError::invalid(format!("{} needs a parameter", a.op.as_str())));
    };
    let params = scalar(ctx, param).await?;
    let Batch { rows, hold } = gather(ctx, super::super::vector(ctx, &a.arg)).await?;
    let ratio = a.op == AggregateOp::LimitRatio;
    if ratio {
        if params.values().iter().all(|r| *r == 0.0) {
            return ctx.batch(Vec::new());
        }
        if params.values().iter().any(|r| r.is_nan()) {
            return Err(EngineError::execution("Ratio value is NaN"));
        }
        for wrong in outliers(params.values(), -1.0, 1.0) {
            let text = Annotation::invalid_ratio(wrong, wrong.clamp(-1.0, 1.0), param.span);
            ctx.annotate(text.by(node.span));
        }
    } else if !check_counts(params.values())? {
        return ctx.batch(Vec::new());
    }
    let mut groups = Groups::new(a);
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        ctx.check()?;
        let (group, _) = groups.of(row);
        members.resize_with(groups.len(), Vec::new);
        members[group].push(i);
    }
    let mut kept = Kept { order: Vec::new(), out: rows.iter().map(|_| None).collect() };
    let steps = node.grid.steps;
    for members in &members {
        if ratio {
            by_ratio(ctx, &rows, members, &params, &mut kept)?;
            continue;
        }
        for step in 0..steps {
            ctx.check()?;
            let k = params.at(step).min(rows.len() as f64) as usize;
            if params.at(step) >= 1.0 {
                let chosen = match a.op {
                    AggregateOp::Limitk => {
                        let present = members.iter().filter(|i| rows[**i].has(step));
                        present.take(k).copied().collect()
                    }
                    op => best(ctx, node, &rows, members, op == AggregateOp::Topk, step, k),
                };
                chosen.into_iter().for_each(|i| kept.keep(&rows, i, step));
            }
        }
    }
    drop(hold);
    ctx.batch(kept.into_rows())
}

/// The samples that remain, rows in the order in which they were first kept.
struct Kept {
    order: Vec<usize>,
    out: Vec<Option<Row>>,
}

impl Kept {
    fn keep(&mut self, rows: &[Row], i: usize, step: usize) {
        let source = &rows[i];
        let row = self.out[i].get_or_insert_with(|| {
            self.order.push(i);
            let mut row = Row::empty(source.labels.clone(), source.floats.len());
            row.drop_name = source.drop_name;
            row
        });
        row.set(step, source.cell(step));
    }

    fn into_rows(mut self) -> Vec<Row> {
        self.order.iter().filter_map(|i| self.out[*i].take()).collect()
    }
}

/// Whether any count asks for a sample.
fn check_counts(counts: &[f64]) -> Result<bool, EngineError> {
    let max = counts.iter().copied().fold(f64::NEG_INFINITY, super::super::number::max);
    let min = counts.iter().copied().fold(f64::INFINITY, super::super::number::min);
    if max < 1.0 || counts.is_empty() {
        return Ok(false);
    }
    if counts.iter().any(|k| k.is_nan()) {
        return Err(EngineError::execution("Parameter value is NaN"));
    }
    let number = crate::number::general;
    if min <= i64::MIN as f64 {
        let message = format!("Scalar value {} underflows int64", number(min));
        return Err(EngineError::execution(message));
    }
    if max >= i64::MAX as f64 {
        let message = format!("Scalar value {} overflows int64", number(max));
        return Err(EngineError::execution(message));
    }
    Ok(true)
}

/// The values that are told when some lie outside of bounds: the largest and
/// the smallest, and NaN, which as in Go hides all of these but infinities.
pub(super) fn outliers(values: &[f64], min: f64, max: f64) -> Vec<f64> {
    let nan = values.iter().copied().find(|v| v.is_nan());
    let high = values.iter().copied().reduce(super::super::number::max).filter(|v| *v > max);
    let low = values.iter().copied().reduce(super::super::number::min).filter(|v| *v < min);
    [nan, high, low].into_iter().flatten().collect()
}

/// The `k` members with the largest (or smallest) values, best first.
fn best(
    ctx: &Context<'_>,
    node: &Node,
    rows: &[Row],
    members: &[usize],
    top: bool,
    step: usize,
    k: usize,
) -> Vec<usize> {
    if members.iter().any(|i| rows[*i].has_histogram(step)) {
        let name = if top { "topk" } else { "bottomk" };
        ctx.annotate(Annotation::histogram_ignored_in_aggregation(name, node.span));
    }
    let mut best = Best::new(k, top);
    for i in members.iter().filter(|i| !is_absent(rows[**i].floats[step])) {
        best.push(rows[*i].floats[step], *i);
    }
    best.into_sorted()
}

/// Keeps the members whose hash lies within the ratio.
fn by_ratio(
    ctx: &Context<'_>,
    rows: &[Row],
    members: &[usize],
    ratios: &Scalars,
    kept: &mut Kept,
) -> Result<(), EngineError> {
    for i in members {
        ctx.check()?;
        let offset = rows[*i].labels.hash64() as f64 / u64::MAX as f64;
        for (step, ratio) in ratios.values().iter().enumerate() {
            let ratio = ratio.clamp(-1.0, 1.0);
            let within = if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio };
            if ratio != 0.0 && within && rows[*i].has(step) {
                kept.keep(rows, *i, step);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_hides_other_outliers_but_infinities() {
        assert_eq!(outliers(&[0.5, 11.0, -2.0], 0.0, 1.0), [11.0, -2.0]);
        assert_eq!(outliers(&[0.5, 1.0], 0.0, 1.0), [0.0; 0]);
        let told = outliers(&[11.0, f64::NAN, -2.0], 0.0, 1.0);
        assert!(told.len() == 1 && told[0].is_nan());
        let told = outliers(&[f64::INFINITY, f64::NAN, -2.0], 0.0, 1.0);
        assert!(told.len() == 2 && told[0].is_nan() && told[1] == f64::INFINITY);
    }
}
