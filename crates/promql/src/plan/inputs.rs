//! What each part of a plan is evaluated from.

use super::{Node, Op, RangeFrom, RangeSource, Select};

/// Something that a part is evaluated from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    Node(&'a Node),
    Range(&'a RangeSource),
}

impl Node {
    /// What it is evaluated from, in the order of the query. A chain of
    /// operators is evaluated from all its operands at once.
    pub(crate) fn inputs(&self) -> Vec<Input<'_>> {
        use Input::{Node as N, Range as R};
        match &self.op {
            Op::Number(_)
            | Op::String(_)
            | Op::Time
            | Op::Select(_)
            | Op::Timestamp(_)
            | Op::StartTimestamp(_)
            | Op::Date(_, None)
            | Op::Nothing
            | Op::Fail(_) => Vec::new(),
            Op::ScalarOf(arg)
            | Op::ScalarNegate(arg)
            | Op::Invariant(arg)
            | Op::VectorOf(arg)
            | Op::TimestampOf(arg)
            | Op::Absent(arg, _)
            | Op::Map(_, arg)
            | Op::Date(_, Some(arg))
            | Op::HistogramMap(_, arg)
            | Op::Sort { arg, .. }
            | Op::SortByLabel { arg, .. }
            | Op::Negate(arg)
            | Op::Plus(arg)
            | Op::Unused(arg) => vec![N(arg)],
            Op::MinOf(a, b) | Op::MaxOf(a, b) | Op::HistogramQuantile(a, b) => vec![N(a), N(b)],
            Op::HistogramFraction(a, b, c) => vec![N(a), N(b), N(c)],
            Op::HistogramQuantiles(arg, _, quantiles) => {
                [&**arg].into_iter().chain(quantiles).map(N).collect()
            }
            Op::Clamp(arg, min, max) => [Some(arg), min.as_ref(), max.as_ref()]
                .into_iter()
                .flatten()
                .map(|n| N(n))
                .collect(),
            Op::Round(arg, nearest) => {
                [Some(arg), nearest.as_ref()].into_iter().flatten().map(|n| N(n)).collect()
            }
            Op::Range(call) => {
                [R(&call.source)].into_iter().chain(call.params.iter().map(N)).collect()
            }
            Op::AbsentOverTime(source, _) => vec![R(source)],
            Op::Matrix(source) => vec![R(source)],
            Op::LabelReplace(call) => vec![N(&call.arg)],
            Op::LabelJoin(call) => vec![N(&call.arg)],
            Op::Info(call) => vec![N(&call.arg)],
            Op::Aggregate(a) => a.param.iter().chain([&a.arg]).map(N).collect(),
            Op::ScalarBinary(..) | Op::VectorScalar(_) | Op::VectorBinary(_) => self.operands(),
        }
    }

    /// The operands of a chain of operators. A query may have thousands.
    fn operands(&self) -> Vec<Input<'_>> {
        let (mut before, mut after, mut end) = (Vec::new(), Vec::new(), self);
        loop {
            end = match &end.op {
                Op::ScalarBinary(_, lhs, rhs) => {
                    after.push(&**rhs);
                    lhs
                }
                Op::VectorBinary(b) => {
                    after.push(&b.rhs);
                    &b.lhs
                }
                Op::VectorScalar(b) => {
                    if b.swapped { &mut before } else { &mut after }.push(&b.scalar);
                    &b.vector
                }
                _ => break,
            };
        }
        before.into_iter().chain([end]).chain(after.into_iter().rev()).map(Input::Node).collect()
    }

    /// The selector that it reads.
    pub(crate) fn selector(&self) -> Option<&Select> {
        match &self.op {
            Op::Select(s) | Op::Timestamp(s) | Op::StartTimestamp(s) => Some(s),
            _ => None,
        }
    }
}

impl RangeSource {
    /// The expression of a subquery.
    pub(crate) fn subquery(&self) -> Option<&Node> {
        match &self.from {
            RangeFrom::Series { .. } => None,
            RangeFrom::Subquery(node) => Some(node),
        }
    }
}
