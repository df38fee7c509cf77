//! sort, sort_desc, sort_by_label: the order of an instant query's answer.

use std::cmp::Ordering;
use std::future::ready;

use crate::annotations::Annotation;
use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::{Batch, Row, is_absent};
use crate::eval::stream::gather;
use crate::order::sorted;
use crate::plan::Node;

/// By value; NaN comes last either way, histograms are left out.
pub(crate) async fn by_value(
    ctx: &Context<'_>,
    node: &Node,
    arg: &Node,
    descending: bool,
) -> Result<Batch, EngineError> {
    let mut batch = gather(ctx, crate::eval::vector(ctx, arg)).await?;
    for row in &mut batch.rows {
        row.histograms = None;
    }
    batch.rows.retain(|r| !r.is_empty());
    if !node.grid.is_instant() {
        ctx.annotate(Annotation::sort_in_range_query(node.span));
        return Ok(batch);
    }
    let order = |a: &Row, b: &Row| {
        let (a, b) = (a.floats[0], b.floats[0]);
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        }
    };
    batch.rows = sorted(batch.rows, order, || ready(ctx.check())).await?;
    debug_assert!(batch.rows.iter().all(|r| !is_absent(r.floats[0])));
    Ok(batch)
}

/// By the values of some labels in natural order, then by all labels.
pub(crate) async fn by_label(
    ctx: &Context<'_>,
    node: &Node,
    arg: &Node,
    labels: &[String],
    descending: bool,
) -> Result<Batch, EngineError> {
    let mut batch = gather(ctx, crate::eval::vector(ctx, arg)).await?;
    if !node.grid.is_instant() {
        ctx.annotate(Annotation::sort_in_range_query(node.span));
        return Ok(batch);
    }
    // What two rows differ in first, if in any of the labels.
    let differ = |a: &Row, b: &Row, by: &(dyn Fn(&str, &str) -> Ordering + Sync)| {
        let values = labels.iter().map(|l| (a.labels.get(l), b.labels.get(l)));
        let order = values.into_iter().find(|(x, y)| x != y).map(|(x, y)| by(x, y));
        let order = order.unwrap_or_else(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    };
    if batch.rows.len() > DOZEN {
        let order = |a: &Row, b: &Row| differ(a, b, &natural);
        batch.rows = sorted(batch.rows, order, || ready(ctx.check())).await?;
        return Ok(batch);
    }
    for i in 1..batch.rows.len() {
        let mut j = i;
        while j > 0 && differ(&batch.rows[j], &batch.rows[j - 1], &as_compared).is_lt() {
            batch.rows.swap(j - 1, j);
            j -= 1;
        }
    }
    Ok(batch)
}

/// So many elements Go sorts by insertion. As Prometheus' natural order is none
/// when values are missing, how it sorts decides what comes of it.
const DOZEN: usize = 12;

/// What natsort says of two different values: the empty one comes after any,
/// and any after it; of equal numbers each comes before the other.
fn as_compared(a: &str, b: &str) -> Ordering {
    let (x, y) = (chunks(a), chunks(b));
    for (i, one) in x.iter().enumerate() {
        let Some(other) = y.get(i) else { return Ordering::Greater };
        let order = match (one.parse::<i64>(), other.parse::<i64>()) {
            (Ok(n), Ok(m)) => n.cmp(&m),
            _ => one.cmp(other),
        };
        if order.is_ne() {
            return order;
        }
        if i + 1 == x.len() {
            return Ordering::Less;
        }
        if i + 1 == y.len() {
            return Ordering::Greater;
        }
    }
    Ordering::Greater
}

/// Natural order: runs of digits compare as numbers, of equal ones the
/// shorter first, the rest as text.
/// Source of the rule: github.com/facette/natsort, which Prometheus uses.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (chunks(a).into_iter(), chunks(b).into_iter());
    loop {
        match (x.next(), y.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let digits = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
                if !digits(x) || !digits(y) {
                    return x.cmp(y);
                }
                let (n, m) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
                let order = n.len().cmp(&m.len()).then_with(|| n.cmp(m));
                // Equal numbers: the one with more zeros comes later.
                return order.then_with(|| x.len().cmp(&y.len()));
            }
        }
    }
}

/// Runs of digits and of anything else.
fn chunks(s: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = s;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_sort_as_numbers() {
        let sorted = ["", "1", "2", "10", "a", "a1", "a2", "a10", "b"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(natural(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
