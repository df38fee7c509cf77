//! A query's plan as it is shown: what each part does, what it is expected to
//! cost, and what it did cost.

use crate::ast::Span;

/// A part of a plan, with the parts that it is made from.
///
/// A chain of operators (`a + b - c`) is one part, whose operands are its
/// parts, as it is evaluated in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanNode {
    /// What it does, in PromQL's words where there are some: `sum`, `rate`,
    /// `+`; `select`, `range` and `subquery` read, `once` repeats at every
    /// step what is the same.
    pub operator: &'static str,
    /// Where it stands in the query, in bytes.
    pub span: Span,
    /// What stands there.
    pub text: String,
    /// How many times it is evaluated at.
    pub steps: usize,
    /// What it is expected to cost.
    pub estimated: Cost,
    /// What it cost, when the query was evaluated.
    pub measured: Option<Cost>,
    /// What it is made from.
    pub parts: Vec<PlanNode>,
}

/// What a part of a query costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Series that it reads from storage, or else passes on. Estimates say how
    /// many there can be at most.
    pub series: u64,
    /// Samples that it reads from storage, or else passes on.
    pub samples: u64,
    /// Coded bytes that it reads from storage.
    pub bytes: u64,
    /// Requests to ingesters and store-gateways.
    pub requests: u64,
    /// The most memory that it holds at a time, in bytes, without its parts.
    pub memory: u64,
    /// Seconds, those of its parts and the waiting for storage included.
    /// Estimates leave out the waiting.
    pub seconds: f64,
}
