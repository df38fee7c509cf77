//! The plan: what is computed on which steps, with nothing left to resolve.
//!
//! Every node knows its grid of evaluation times. Durations, `@` and offsets
//! are numbers, parts that are the same at every step stand under
//! [`Op::Invariant`] on a grid of one step, and what Varve does not evaluate
//! has been refused. [`build`] makes it from the syntax tree.

mod build;
mod calls;
mod info;
mod inputs;
mod invariant;
mod leaves;
mod scope;
mod time;
mod twins;

pub(crate) use build::{changes_schema, plan};
pub(crate) use inputs::Input;
pub(crate) use leaves::Leaf;
pub(crate) use scope::{Kind as ScopeKind, Scope};
pub(crate) use twins::{Twin, TwinId};

use varve_model::{Labels, Matcher, TimeRange};

use crate::ast::{AggregateOp, BinaryOp, Extended, Span, ValueType, VectorMatching};
use crate::engine::EngineError;

/// Evaluation times: `start`, `start + step`, … (`steps` of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Milliseconds since the epoch.
    pub(crate) start: i64,
    /// Milliseconds; meaningless with less than two steps.
    pub(crate) step: i64,
    /// May be 0 under a subquery that no step falls into.
    pub(crate) steps: usize,
    /// What was asked for as the end; the last step may lie before it.
    pub(crate) end: i64,
}

impl Grid {
    /// One time.
    pub(crate) fn instant(time: i64) -> Self {
        Self { start: time, step: 1, steps: 1, end: time }
    }

    /// The times from `start` to `end`.
    pub(crate) fn range(start: i64, end: i64, step: i64) -> Self {
        let steps = match end.checked_sub(start) {
            Some(d) if d >= 0 && step > 0 => usize::try_from(d / step).map_or(0, |n| n + 1),
            _ => 0,
        };
        Self { start, step: step.max(1), steps, end }
    }

    /// The time of a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(step as i64))
    }

    /// The last time, the first when there is none.
    pub(crate) fn last(&self) -> i64 {
        self.time(self.steps.saturating_sub(1))
    }

    /// Whether nothing but one time was asked for. Not so in a range of which
    /// only one step is left, which Prometheus treats as a range.
    pub(crate) fn is_instant(&self) -> bool {
        self.start == self.end
    }
}

/// `offset` and `@`, resolved: a step at `t` reads `at.unwrap_or(t) - offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lookup {
    pub(crate) at: Option<i64>,
    pub(crate) offset: i64,
}

impl Lookup {
    /// The time that a step at `t` reads.
    pub(crate) fn of(&self, t: i64) -> i64 {
        self.at.unwrap_or(t).saturating_sub(self.offset)
    }

    /// The first and last time read on a grid.
    pub(crate) fn span(&self, grid: &Grid) -> (i64, i64) {
        (self.of(grid.start), self.of(grid.last()))
    }
}

/// A planned query.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What it evaluates to.
    pub(crate) root: Node,
    /// Its parts, by their numbers.
    pub(crate) parts: Vec<Part>,
    /// The grids that it is evaluated on, the query's own first, each behind
    /// the one that it is evaluated for.
    pub(crate) scopes: Vec<Scope>,
}

/// What every part of a plan is known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Where it stands in the query.
    pub(crate) span: Span,
    /// What it does, in PromQL's words where there are some.
    pub(crate) operator: &'static str,
}

/// A part of a plan, by its number.
pub(crate) type PartId = usize;

/// A grid of a plan, by its number.
pub(crate) type ScopeId = usize;

/// An operator and what it stands for.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number.
    pub(crate) part: PartId,
    /// The grid that it is evaluated on, among those of the plan.
    pub(crate) scope: ScopeId,
    /// The bytes of the query that it came from.
    pub(crate) span: Span,
    /// What it evaluates to.
    pub(crate) value_type: ValueType,
    /// The times it is evaluated at.
    pub(crate) grid: Grid,
    /// What it does.
    pub(crate) op: Op,
}

/// The operators.
#[derive(Debug)]
pub(crate) enum Op {
    // Scalars.
    Number(f64),
    String(Vec<u8>),
    Time,
    ScalarOf(Box<Node>),
    ScalarBinary(BinaryOp, Box<Node>, Box<Node>),
    ScalarNegate(Box<Node>),
    MinOf(Box<Node>, Box<Node>),
    MaxOf(Box<Node>, Box<Node>),
    /// Evaluated once, the same at every step (scalar or vector).
    Invariant(Box<Node>),
    // Vectors.
    VectorOf(Box<Node>),
    Select(Select),
    Timestamp(Select),
    StartTimestamp(Select),
    /// `timestamp` of anything but a selector: the time of the step.
    TimestampOf(Box<Node>),
    Range(Box<RangeCall>),
    Absent(Box<Node>, Labels),
    AbsentOverTime(Box<RangeSource>, Labels),
    Map(fn(f64) -> f64, Box<Node>),
    Clamp(Box<Node>, Option<Box<Node>>, Option<Box<Node>>),
    Round(Box<Node>, Option<Box<Node>>),
    Date(DatePart, Option<Box<Node>>),
    HistogramMap(HistogramMap, Box<Node>),
    HistogramQuantile(Box<Node>, Box<Node>),
    HistogramQuantiles(Box<Node>, String, Vec<Node>),
    HistogramFraction(Box<Node>, Box<Node>, Box<Node>),
    LabelReplace(Box<LabelReplace>),
    LabelJoin(Box<LabelJoin>),
    Sort {
        arg: Box<Node>,
        descending: bool,
    },
    SortByLabel {
        arg: Box<Node>,
        labels: Vec<String>,
        descending: bool,
    },
    Info(Box<Info>),
    Negate(Box<Node>),
    /// `+x`: the same, but annotations of what is around it point at the sign.
    Plus(Box<Node>),
    /// Evaluated for its errors and annotations; it has no result.
    Unused(Box<Node>),
    VectorScalar(Box<VectorScalar>),
    VectorBinary(Box<VectorBinary>),
    Aggregate(Box<Aggregation>),
    // Matrices, at the top of an instant query only.
    Matrix(RangeSource),
    /// An empty vector, which a refused argument value makes.
    Nothing,
    /// What cannot be evaluated, and why: said when its turn comes, as what is
    /// evaluated before may fail for another reason.
    Fail(EngineError),
}

/// An instant selector.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) lookup: Lookup,
    /// How far back samples count, in milliseconds.
    pub(crate) lookback: i64,
    /// `smoothed`
    pub(crate) smoothed: bool,
    /// Whether only count and sum of histograms are needed.
    pub(crate) stats_only: bool,
    /// The function or aggregation around it.
    pub(crate) func: Option<&'static str>,
}

/// Where the windows of a range function come from.
#[derive(Debug)]
pub(crate) struct RangeSource {
    /// Its number.
    pub(crate) part: PartId,
    /// The grid of the windows, among those of the plan.
    pub(crate) scope: ScopeId,
    pub(crate) lookup: Lookup,
    /// The length of the window in milliseconds.
    pub(crate) range: i64,
    /// `anchored` or `smoothed`
    pub(crate) extended: Option<Extended>,
    /// How far back samples count beyond an extended window, in milliseconds.
    pub(crate) lookback: i64,
    pub(crate) from: RangeFrom,
}

/// The samples of a range.
#[derive(Debug)]
pub(crate) enum RangeFrom {
    /// Stored ones.
    Series { matchers: Vec<Matcher>, stats_only: bool, func: Option<&'static str> },
    /// Those of an expression on its own grid.
    Subquery(Box<Node>),
}

/// A function of a range and perhaps scalars.
#[derive(Debug)]
pub(crate) struct RangeCall {
    pub(crate) func: RangeFn,
    pub(crate) source: RangeSource,
    /// The scalar arguments, in order.
    pub(crate) params: Vec<Node>,
    /// Where the first argument stands.
    pub(crate) first_arg: Span,
}

/// The functions of ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFn {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Resets,
    Changes,
    Deriv,
    PredictLinear,
    DoubleExponentialSmoothing,
    Sum,
    Avg,
    Min,
    Max,
    Count,
    First,
    Last,
    Present,
    Stddev,
    Stdvar,
    Quantile,
    Mad,
    TsOfFirst,
    TsOfLast,
    TsOfMin,
    TsOfMax,
}

impl RangeFn {
    /// Whether the result is still the metric that went in.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// The parts of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    DaysInMonth,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hour,
    Minute,
    Month,
    Year,
}

/// The functions of one histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramMap {
    Count,
    Sum,
    Avg,
    Stddev,
    Stdvar,
}

/// `label_replace(arg, dst, replacement, src, regex)`
#[derive(Debug)]
pub(crate) struct LabelReplace {
    pub(crate) arg: Node,
    pub(crate) dst: String,
    pub(crate) replacement: String,
    pub(crate) src: String,
    pub(crate) regex: regex::Regex,
}

/// `label_join(arg, dst, separator, src...)`
#[derive(Debug)]
pub(crate) struct LabelJoin {
    pub(crate) arg: Node,
    pub(crate) dst: String,
    pub(crate) separator: String,
    pub(crate) src: Vec<String>,
}

/// `info(arg, selector)`
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) arg: Node,
    /// The matchers of the second argument.
    pub(crate) matchers: Vec<Matcher>,
    /// When info series are looked up.
    pub(crate) lookup: Lookup,
    pub(crate) lookback: i64,
}

/// A vector and a scalar.
#[derive(Debug)]
pub(crate) struct VectorScalar {
    pub(crate) op: BinaryOp,
    pub(crate) vector: Node,
    pub(crate) scalar: Node,
    /// Whether the scalar stands on the left.
    pub(crate) swapped: bool,
    pub(crate) return_bool: bool,
}

/// Two vectors.
#[derive(Debug)]
pub(crate) struct VectorBinary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) return_bool: bool,
    pub(crate) matching: VectorMatching,
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) op: AggregateOp,
    pub(crate) arg: Node,
    /// A scalar, or a string for `count_values`.
    pub(crate) param: Option<Node>,
    pub(crate) without: bool,
    /// Sorted.
    pub(crate) grouping: Vec<String>,
}

impl Select {
    /// The samples that the selector can need on a grid.
    pub(crate) fn fetch(&self, grid: &Grid) -> TimeRange {
        let (first, last) = self.lookup.span(grid);
        let end = if self.smoothed { last.saturating_add(self.lookback) } else { last };
        TimeRange::new(first.saturating_sub(self.lookback), end)
    }
}

impl RangeSource {
    /// The samples that the windows can need on a grid.
    pub(crate) fn fetch(&self, grid: &Grid) -> TimeRange {
        let (first, last) = self.lookup.span(grid);
        let (before, after) = self.margins();
        let start = first.saturating_sub(self.range).saturating_sub(before);
        TimeRange::new(start, last.saturating_add(after))
    }

    /// How far beyond the window samples are looked at, left and right.
    pub(crate) fn margins(&self) -> (i64, i64) {
        match self.extended {
            None => (0, 0),
            Some(Extended::Anchored) => (self.lookback, 0),
            Some(Extended::Smoothed) => (self.lookback, self.lookback),
        }
    }
}
