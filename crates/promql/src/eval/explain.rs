//! Showing a plan: each part with what it is expected to cost, and what it
//! did cost.
//!
//! What selectors read is asked of storage, which answers from its indexes.
//! From there on up, series are counted as if no two became one, except where
//! an operator leaves one series at most.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::try_join_all;

use super::context::Context;
use crate::ast::{AggregateOp, BinaryOp, Span, ValueType};
use crate::engine::EngineError;
use crate::explain::{Cost, PlanNode};
use crate::plan::{Grid, Input, Node, Op, PartId, Plan, RangeSource};
use crate::source::{Estimate, SeriesSource};

/// Nanoseconds that reading a sample takes, decoding and merging included.
/// This and the next were measured by `analyze` over blocks of 15 s.
const SAMPLE_NANOS: f64 = 10.0;
/// Nanoseconds that an operator takes for a series at one step.
const CELL_NANOS: f64 = 6.0;
/// Bytes of a sample in memory.
const SAMPLE_BYTES: u64 = 16;
/// Bytes of a series at one step.
const CELL_BYTES: u64 = 8;
/// Bytes of a series' labels, about.
const LABELS_BYTES: u64 = 256;

/// What storage says of the selectors of a plan, by part.
pub(crate) struct Estimates(Vec<Option<Estimate>>);

impl Estimates {
    /// Asks storage, of all selectors at once.
    pub(crate) async fn ask(
        plan: &Plan,
        source: &Arc<dyn SeriesSource>,
    ) -> Result<Self, EngineError> {
        let asked = plan.leaves().into_iter().map(|leaf| async move {
            let estimate = source.estimate(leaf.matchers.to_vec(), leaf.range).await?;
            Ok::<_, EngineError>((leaf.part, estimate))
        });
        let mut all = vec![None; plan.parts.len()];
        for (part, estimate) in try_join_all(asked).await? {
            all[part] = Some(estimate);
        }
        Ok(Self(all))
    }
}

/// A plan that is being shown.
pub(crate) struct Show<'a> {
    text: &'a str,
    plan: &'a Plan,
    estimates: &'a Estimates,
    /// The evaluation, when there was one.
    measured: Option<&'a Context<'a>>,
    /// Parts that hand on what came of another one.
    repeated: HashSet<PartId>,
}

impl<'a> Show<'a> {
    pub(crate) fn new(
        (text, plan): (&'a str, &'a Plan),
        estimates: &'a Estimates,
        measured: Option<&'a Context<'a>>,
    ) -> Self {
        Self { text, plan, estimates, measured, repeated: plan.twins(text).repeated() }
    }

    /// The whole plan.
    pub(crate) fn root(&self) -> PlanNode {
        self.node(&self.plan.root)
    }

    fn node(&self, node: &Node) -> PlanNode {
        let of = |input| match input {
            Input::Node(input) => self.node(input),
            Input::Range(source) => self.range(source, node.grid),
        };
        let parts: Vec<PlanNode> = node.inputs().into_iter().map(of).collect();
        let (read, steps) = (self.estimates.0[node.part], node.grid.steps);
        let series = read.map_or_else(|| series_at_most(node, &parts), |read| read.series);
        let (read, parts) = match self.repeated.contains(&node.part) {
            true => (None, Vec::new()),
            false => (read, parts),
        };
        let cost = Self::cost(read, series, steps, &parts);
        self.part((node.part, node.span), steps, cost, parts)
    }

    fn range(&self, source: &RangeSource, grid: Grid) -> PlanNode {
        let parts: Vec<PlanNode> =
            source.subquery().map(|node| self.node(node)).into_iter().collect();
        let (read, span) = (self.estimates.0[source.part], self.plan.parts[source.part].span);
        let series = read.map_or_else(|| most(&parts), |read| read.series);
        let cost = Self::cost(read, series, grid.steps, &parts);
        self.part((source.part, span), grid.steps, cost, parts)
    }

    /// What a part costs that passes on so many series.
    fn cost(read: Option<Estimate>, series: u64, steps: usize, parts: &[PlanNode]) -> Cost {
        let within: f64 = parts.iter().map(|p| p.estimated.seconds).sum();
        let cells = series.saturating_mul(steps as u64);
        let Estimate { samples, bytes, requests, .. } =
            read.unwrap_or(Estimate { series, samples: cells, bytes: 0, requests: 0 });
        let of_samples = if read.is_some() { samples } else { 0 };
        let memory = bytes
            .saturating_add(of_samples.saturating_mul(SAMPLE_BYTES))
            .saturating_add(cells.saturating_mul(CELL_BYTES))
            .saturating_add(series.saturating_mul(LABELS_BYTES));
        let nanos = of_samples as f64 * SAMPLE_NANOS + cells as f64 * CELL_NANOS;
        let seconds = within + nanos / 1e9;
        Cost { series, samples, bytes, requests, memory, seconds }
    }

    fn part(
        &self,
        (part, span): (PartId, Span),
        steps: usize,
        estimated: Cost,
        parts: Vec<PlanNode>,
    ) -> PlanNode {
        PlanNode {
            operator: match self.repeated.contains(&part) {
                true => "again",
                false => self.plan.parts[part].operator,
            },
            span,
            text: self
                .text
                .get(span.start as usize..span.end as usize)
                .unwrap_or_default()
                .to_owned(),
            steps,
            estimated,
            measured: self.measured.and_then(|ctx| ctx.cost(part)),
            parts,
        }
    }
}

/// The largest number of series that any part can have.
fn most(parts: &[PlanNode]) -> u64 {
    parts.iter().map(|p| p.estimated.series).max().unwrap_or(1)
}

/// How many series a part can pass on.
fn series_at_most(node: &Node, parts: &[PlanNode]) -> u64 {
    let one = match &node.op {
        Op::Nothing | Op::Unused(_) => return 0,
        Op::Absent(..) | Op::AbsentOverTime(..) | Op::VectorOf(_) | Op::Date(_, None) => true,
        Op::Aggregate(a) if a.op == AggregateOp::CountValues => {
            return most(parts).saturating_mul(node.grid.steps as u64);
        }
        Op::Aggregate(a) => {
            let one_a_group = !matches!(
                a.op,
                AggregateOp::Topk
                    | AggregateOp::Bottomk
                    | AggregateOp::Limitk
                    | AggregateOp::LimitRatio
            );
            one_a_group && a.grouping.is_empty() && !a.without
        }
        Op::HistogramQuantiles(_, _, quantiles) => {
            return most(parts).saturating_mul(quantiles.len() as u64);
        }
        Op::VectorBinary(_) | Op::VectorScalar(_) if joins(node) => {
            return parts.iter().map(|p| p.estimated.series).fold(0, u64::saturating_add);
        }
        _ => node.value_type == ValueType::Scalar || node.value_type == ValueType::String,
    };
    if one { 1 } else { most(parts) }
}

/// Whether some operator of a chain passes on series of both its sides.
fn joins(mut node: &Node) -> bool {
    loop {
        node = match &node.op {
            Op::VectorBinary(b) => {
                let filled = b.matching.fill_left.is_some() || b.matching.fill_right.is_some();
                if b.op == BinaryOp::Or || filled {
                    return true;
                }
                &b.lhs
            }
            Op::VectorScalar(b) => &b.vector,
            _ => return false,
        };
    }
}
