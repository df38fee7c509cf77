//! `count_values`: a series for each value, which becomes a label.

use std::collections::HashMap;

use varve_model::Labels;

use super::super::context::Context;
use super::super::row::{Batch, Cell, Row, is_absent};
use super::super::stream::gather;
use super::groups::group_labels;
use crate::engine::EngineError;
use crate::plan::{Aggregation, Node, Op};

/// How often each value occurs in each group.
pub(super) async fn aggregate(
    ctx: &Context<'_>,
    node: &Node,
    a: &Aggregation,
) -> Result<Batch, EngineError> {
    let label = match a.param.as_ref().map(|p| &p.op) {
        Some(Op::String(s)) => String::from_utf8_lossy(s).into_owned(),
        _ => return Err(EngineError::invalid("count_values needs a label name")),
    };
    let mut grouping = a.grouping.clone();
    if !a.without {
        grouping.push(label.clone());
        grouping.sort();
    }
    let steps = node.grid.steps;
    let Batch { rows, hold: _hold } = gather(ctx, super::super::vector(ctx, &a.arg)).await?;
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Row> = Vec::new();
    let mut hold = ctx.hold(0, 0)?;
    for row in &rows {
        ctx.check()?;
        // A series often keeps its value: its group is looked up when that changes.
        let mut last: Option<(u64, usize)> = None;
        for step in 0..steps {
            let (bits, text) = match row.cell(step) {
                Cell::Absent => continue,
                Cell::Float(v) => (Some(v.to_bits()), None),
                Cell::Histogram(h) => (None, Some(super::super::histogram::text(h)?)),
            };
            let known = last.filter(|(b, _)| bits == Some(*b)).map(|(_, i)| i);
            let i = match known {
                Some(i) => i,
                None => {
                    let text = text.unwrap_or_else(|| {
                        crate::number::fixed(f64::from_bits(bits.unwrap_or_default()))
                    });
                    let valued = row.labels.builder().set(&label, &text).build();
                    let labels = counted(a, &grouping, &valued);
                    *index.entry(labels).or_insert_with_key(|labels| {
                        out.push(Row::empty(labels.clone(), steps));
                        out.len() - 1
                    })
                }
            };
            if i == out.len() - 1 && known.is_none() {
                hold.merge(ctx.hold(out[i].memory() / 4, 0)?);
            }
            last = bits.map(|b| (b, i));
            let count = &mut out[i].floats[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    ctx.batch(out)
}

/// The labels of a group, the value's among them.
fn counted(a: &Aggregation, grouping: &[String], valued: &Labels) -> Labels {
    match a.without {
        true => group_labels(a, valued),
        false => valued.filter(|name| grouping.iter().any(|g| g == name)),
    }
}
