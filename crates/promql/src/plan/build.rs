//! From the syntax tree to the plan.

use std::cell::{Cell, RefCell};

use varve_model::{ErrorKind, Matcher};

use super::calls;
use super::invariant::{is_worth_once, unwrapped};
use super::time::QueryTimes;
use super::{
    Aggregation, Grid, Node, Op, Part, PartId, Plan, RangeFrom, RangeSource, Scope, ScopeKind,
    Select, VectorBinary, VectorScalar,
};
use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Expr, ExprKind, Extended, RangeSelector, Span,
    Subquery, UnaryOp, ValueType, VectorSelector,
};
use crate::engine::{EngineError, EngineOptions, Query};

/// Plans a query.
pub(crate) fn plan(
    options: &EngineOptions,
    query: &Query,
    expr: &Expr,
) -> Result<Plan, EngineError> {
    let kind = value_type(expr);
    let instant = query.step_ms == 0;
    if !instant && !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let name = if kind == ValueType::Matrix { "range vector" } else { "string" };
        return Err(EngineError::invalid(format!(
            "invalid expression type {name:?} for range query, must be Scalar or instant Vector"
        )));
    }
    let grid = match instant {
        true => Grid::instant(query.start_ms),
        false => Grid::range(query.start_ms, query.end_ms, query.step_ms),
    };
    let lookback = query.lookback_ms.unwrap_or(options.lookback_ms);
    let times = QueryTimes::new(query);
    let whole = Scope { parent: 0, grid, kind: ScopeKind::Query };
    let planner = Planner {
        options,
        lookback,
        times,
        depth: Cell::new(0),
        scope: Cell::new(0),
        scopes: RefCell::new(vec![whole]),
        parts: RefCell::default(),
    };
    let root = planner.node(expr, grid, Around::default())?;
    Ok(Plan { root, parts: planner.parts.into_inner(), scopes: planner.scopes.into_inner() })
}

/// What an expression evaluates to.
pub(super) fn value_type(expr: &Expr) -> ValueType {
    match &expr.kind {
        ExprKind::Number { .. } => ValueType::Scalar,
        ExprKind::String(_) => ValueType::String,
        ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
        ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        ExprKind::Call(c) => c.func.returns,
        ExprKind::Unary(_, e) | ExprKind::Paren(e) => value_type(e),
        ExprKind::Binary(b) => match (value_type(&b.lhs), value_type(&b.rhs)) {
            (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
            _ => ValueType::Vector,
        },
    }
}

/// What an expression does, in PromQL's words where there are some.
fn operator(expr: &Expr) -> &'static str {
    match &expr.kind {
        ExprKind::Number { .. } => "number",
        ExprKind::String(_) => "string",
        ExprKind::Selector(_) => "select",
        ExprKind::Range(_) => "range",
        ExprKind::Subquery(_) => "subquery",
        ExprKind::Call(c) => c.func.name,
        ExprKind::Aggregate(a) => a.op.as_str(),
        ExprKind::Binary(b) => b.op.as_str(),
        ExprKind::Unary(UnaryOp::Plus, _) => "+",
        ExprKind::Unary(UnaryOp::Minus, _) => "-",
        ExprKind::Paren(inner) => operator(unwrapped(inner)),
    }
}

/// Makes nodes; knows what the query says of time.
pub(super) struct Planner<'a> {
    pub(super) options: &'a EngineOptions,
    pub(super) lookback: i64,
    pub(super) times: QueryTimes,
    /// How deep the expression being planned is nested.
    depth: Cell<usize>,
    /// The grid that is planned on.
    scope: Cell<usize>,
    scopes: RefCell<Vec<Scope>>,
    parts: RefCell<Vec<Part>>,
}

/// How deep expressions may be nested: plans are walked recursively, and a
/// query must not exhaust the stack. Chains of operators do not count, since
/// they are walked in a loop.
const MAX_DEPTH: usize = 64;

/// What stands around an expression.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// The nearest function or aggregation, for hints.
    func: Option<&'static str>,
    /// Whether only count and sum of histograms are asked for by some function.
    counts: bool,
    /// Whether something further in needs their buckets.
    buckets: bool,
}

impl Around {
    /// Within a call or aggregation.
    pub(super) fn of(self, func: &'static str) -> Self {
        let counts = matches!(func, "histogram_count" | "histogram_sum" | "histogram_avg");
        let buckets = matches!(
            func,
            "histogram_quantile"
                | "histogram_quantiles"
                | "histogram_fraction"
                | "histogram_stddev"
                | "histogram_stdvar"
        );
        Self { func: Some(func), counts: self.counts || counts, buckets: self.buckets || buckets }
    }

    /// Within something that is no function.
    fn operator(self) -> Self {
        Self { func: None, ..self }
    }

    /// Within something that looks at buckets.
    fn with_buckets(self) -> Self {
        Self { func: None, buckets: true, ..self }
    }

    /// Whether selectors need no buckets of histograms.
    fn stats_only(self) -> bool {
        self.counts && !self.buckets
    }
}

/// What an expression was planned to: what it does, or all of it.
enum Planned {
    Op(Op),
    Node(Node),
}

impl Planner<'_> {
    /// The number of a further part.
    fn part(&self, span: Span, operator: &'static str) -> PartId {
        let mut parts = self.parts.borrow_mut();
        parts.push(Part { span, operator });
        parts.len() - 1
    }

    /// Plans something on a grid of its own.
    fn within<T>(&self, grid: Grid, kind: ScopeKind, plan: impl FnOnce() -> T) -> T {
        let parent = self.scope.get();
        let mut scopes = self.scopes.borrow_mut();
        scopes.push(Scope { parent, grid, kind });
        self.scope.set(scopes.len() - 1);
        drop(scopes);
        let planned = plan();
        self.scope.set(parent);
        planned
    }

    /// Plans an expression on a grid. What is the same at every step of it is
    /// planned on its first step only.
    pub(super) fn node(
        &self,
        expr: &Expr,
        grid: Grid,
        around: Around,
    ) -> Result<Node, EngineError> {
        if self.depth.get() >= MAX_DEPTH {
            let message = format!("expression is nested more than {MAX_DEPTH} levels deep");
            return Err(EngineError::invalid(message));
        }
        self.depth.set(self.depth.get() + 1);
        let node = self.once_or_each(expr, grid, around);
        self.depth.set(self.depth.get() - 1);
        node
    }

    fn once_or_each(&self, expr: &Expr, grid: Grid, around: Around) -> Result<Node, EngineError> {
        if !grid.is_instant() && is_worth_once(expr, &self.times) {
            let once = Grid { steps: 1, end: grid.start, ..grid };
            let inner = self.within(once, ScopeKind::Once, || self.plain(expr, once, around))?;
            let (span, value_type) = (inner.span, inner.value_type);
            let op = match inner.op {
                Op::Number(v) => Op::Number(v),
                _ => Op::Invariant(Box::new(inner)),
            };
            let (part, scope) = (self.part(span, "once"), self.scope.get());
            return Ok(Node { part, scope, span, value_type, grid, op });
        }
        self.plain(expr, grid, around)
    }

    /// The same, boxed.
    pub(super) fn boxed(
        &self,
        expr: &Expr,
        grid: Grid,
        around: Around,
    ) -> Result<Box<Node>, EngineError> {
        self.node(expr, grid, around).map(Box::new)
    }

    fn plain(&self, expr: &Expr, grid: Grid, around: Around) -> Result<Node, EngineError> {
        let op = match self.operation(expr, grid, around) {
            Ok(Planned::Op(op)) => op,
            Ok(Planned::Node(node)) => return Ok(node),
            Err(e) if e.kind == ErrorKind::Execution => Op::Fail(e),
            Err(e) => return Err(e),
        };
        let (part, scope) = (self.part(expr.span, operator(expr)), self.scope.get());
        Ok(Node { part, scope, span: expr.span, value_type: value_type(expr), grid, op })
    }

    fn operation(&self, expr: &Expr, grid: Grid, around: Around) -> Result<Planned, EngineError> {
        Ok(Planned::Op(match &expr.kind {
            ExprKind::Number { value, duration: _ } => Op::Number(*value),
            ExprKind::String(s) => Op::String(s.clone()),
            ExprKind::Selector(s) => Op::Select(self.select(s, around)?),
            ExprKind::Range(_) | ExprKind::Subquery(_) => {
                Op::Matrix(self.range_source(expr, grid, around, false)?)
            }
            ExprKind::Call(c) => calls::call(self, c, grid, around)?,
            ExprKind::Aggregate(a) => self.aggregate(a, grid, around)?,
            ExprKind::Binary(_) => return self.chain(expr, grid, around).map(Planned::Node),
            ExprKind::Paren(e) => return self.plain(e, grid, around).map(Planned::Node),
            ExprKind::Unary(UnaryOp::Plus, e) => {
                let inner = self.plain(e, grid, around)?;
                match inner.value_type {
                    ValueType::Vector => Op::Plus(Box::new(inner)),
                    _ => return Ok(Planned::Node(Node { span: expr.span, ..inner })),
                }
            }
            ExprKind::Unary(UnaryOp::Minus, e) => {
                let arg = self.boxed(e, grid, around.operator())?;
                match (&arg.op, arg.value_type) {
                    (Op::Number(v), _) => Op::Number(-v),
                    (_, ValueType::Scalar) => Op::ScalarNegate(arg),
                    _ => Op::Negate(arg),
                }
            }
        }))
    }

    /// An instant selector.
    pub(super) fn select(&self, s: &VectorSelector, around: Around) -> Result<Select, EngineError> {
        let VectorSelector { name: _, matchers, shift, extended, allows_empty_matchers: _ } = s;
        // `anchored` does nothing here, in Prometheus neither.
        let smoothed = *extended == Some(Extended::Smoothed);
        Ok(Select {
            matchers: matchers.clone(),
            lookup: self.times.lookup(shift)?,
            lookback: self.lookback,
            smoothed,
            stats_only: around.stats_only(),
            func: around.func,
        })
    }

    /// The range of a range selector or subquery; `windows` says whether a
    /// function slides over it.
    pub(super) fn range_source(
        &self,
        expr: &Expr,
        grid: Grid,
        around: Around,
        windows: bool,
    ) -> Result<RangeSource, EngineError> {
        match &unwrapped(expr).kind {
            ExprKind::Range(r) => {
                let RangeSelector { selector, selector_span: _, range } = &**r;
                let VectorSelector { name: _, matchers, shift, extended, .. } = selector;
                Ok(RangeSource {
                    part: self.part(expr.span, "range"),
                    scope: self.scope.get(),
                    lookup: self.times.lookup(shift)?,
                    range: self.times.duration(range, false)?,
                    extended: *extended,
                    lookback: self.lookback,
                    from: RangeFrom::Series {
                        matchers: matchers.clone(),
                        stats_only: around.stats_only(),
                        func: around.func,
                    },
                })
            }
            ExprKind::Subquery(s) => self.subquery(s, expr.span, grid, around, windows),
            ExprKind::Number { .. }
            | ExprKind::String(_)
            | ExprKind::Selector(_)
            | ExprKind::Call(_)
            | ExprKind::Aggregate(_)
            | ExprKind::Binary(_)
            | ExprKind::Unary(..)
            | ExprKind::Paren(_) => {
                Err(EngineError::invalid("expected a range vector as argument"))
            }
        }
    }

    /// The inner grid is aligned to multiples of the subquery's step, and ends
    /// at the last step of the outer one.
    fn subquery(
        &self,
        s: &Subquery,
        span: Span,
        grid: Grid,
        around: Around,
        windows: bool,
    ) -> Result<RangeSource, EngineError> {
        let Subquery { expr: inner, range, step, shift } = s;
        let lookup = self.times.lookup(shift)?;
        let range = self.times.duration(range, false)?;
        let step = match step {
            Some(step) => self.times.duration(step, false)?,
            None => self.options.default_subquery_step_ms,
        };
        if step <= 0 {
            return Err(EngineError::invalid("subquery step must be at least one millisecond"));
        }
        let (first, last) = lookup.span(&grid);
        let bound = first.saturating_sub(range);
        let mut start = step * (bound / step);
        if start <= bound {
            start = start.saturating_add(step);
        }
        let inner_grid = match grid.steps {
            0 => Grid { start, step, steps: 0, end: last },
            _ => Grid::range(start, last, step),
        };
        let (offset, consumed) = if windows { (lookup.offset, range) } else { (0, 0) };
        let kind = ScopeKind::Subquery { offset, range: consumed };
        let plan = || self.boxed(inner, inner_grid, around.with_buckets());
        let from = RangeFrom::Subquery(self.within(inner_grid, kind, plan)?);
        let (part, scope) = (self.part(span, "subquery"), self.scope.get());
        let lookback = self.lookback;
        Ok(RangeSource { part, scope, lookup, range, extended: None, lookback, from })
    }

    fn aggregate(&self, a: &Aggregate, grid: Grid, around: Around) -> Result<Op, EngineError> {
        let Aggregate { op, param, expr, without, grouping } = a;
        let mut grouping = grouping.clone();
        grouping.sort();
        let arg = self.node(unwrapped(expr), grid, around.of(op.as_str()))?;
        let param = match param {
            Some(p) => Some(self.node(unwrapped(p), grid, around.operator())?),
            None => None,
        };
        if *op == AggregateOp::CountValues {
            let label = match param.as_ref().map(|p| &p.op) {
                Some(Op::String(label)) => label.as_slice(),
                _ => &[],
            };
            if calls::label_name(label).is_none() {
                let label = crate::parse::quote_bytes(label);
                return Err(EngineError::execution(format!("invalid label name {label}")));
            }
        }
        let (op, without) = (*op, *without);
        Ok(Op::Aggregate(Box::new(Aggregation { op, arg, param, without, grouping })))
    }

    /// A chain of operators `a + b + c …`, from its left end on.
    fn chain(&self, expr: &Expr, grid: Grid, around: Around) -> Result<Node, EngineError> {
        let mut links = Vec::new();
        let (mut end, mut around) = (expr, around);
        while let ExprKind::Binary(b) = &end.kind {
            // What is the same at every step is planned on its own.
            if !links.is_empty() && grid.steps > 1 && is_worth_once(end, &self.times) {
                break;
            }
            around = match b.op {
                BinaryOp::TrimUpper | BinaryOp::TrimLower => around.with_buckets(),
                _ => around.operator(),
            };
            links.push((end, b, around));
            end = &b.lhs;
        }
        let mut left = self.node(end, grid, around)?;
        while let Some((expr, b, around)) = links.pop() {
            let right = self.node(&b.rhs, grid, around)?;
            let op = Self::binary(b, left, right)?;
            let (part, scope) = (self.part(expr.span, operator(expr)), self.scope.get());
            let span = expr.span;
            left = Node { part, scope, span, value_type: value_type(expr), grid, op };
        }
        Ok(left)
    }

    fn binary(b: &Binary, left: Node, right: Node) -> Result<Op, EngineError> {
        let Binary { op, op_span: _, lhs: _, rhs: _, return_bool, matching } = b;
        let (op, return_bool) = (*op, *return_bool);
        Ok(match (left.value_type, right.value_type) {
            (ValueType::Scalar, ValueType::Scalar) => {
                if op.is_trim() {
                    let op = op.as_str();
                    let message = format!("operator {op:?} not allowed for Scalar operations");
                    return Err(EngineError::execution(message));
                }
                if let (Op::Number(l), Op::Number(r)) = (&left.op, &right.op) {
                    return Ok(Op::Number(crate::eval::number::binary(op, *l, *r)));
                }
                Op::ScalarBinary(op, Box::new(left), Box::new(right))
            }
            (ValueType::Scalar, _) => Op::VectorScalar(Box::new(VectorScalar {
                op,
                vector: right,
                scalar: left,
                swapped: true,
                return_bool,
            })),
            (_, ValueType::Scalar) => Op::VectorScalar(Box::new(VectorScalar {
                op,
                vector: left,
                scalar: right,
                swapped: false,
                return_bool,
            })),
            _ => {
                let Some(matching) = matching.clone() else {
                    return Err(EngineError::invalid("vectors are combined without matching"));
                };
                let (lhs, rhs) = (left, right);
                let binary = VectorBinary { op, lhs, rhs, return_bool, matching };
                Op::VectorBinary(Box::new(binary))
            }
        })
    }
}

/// The labels that `absent` gives its one series: those of `=` matchers that
/// are named once, or first. Prometheus' storage has moved matchers to the end
/// that only take series away: those that a series without the label meets.
pub(super) fn absent_labels(matchers: &[Matcher]) -> varve_model::Labels {
    use varve_model::MatchOp::{NotEqual, NotRegex};
    let takes_away = |m: &&Matcher| {
        let mut same = matchers.iter().filter(|other| other.name() == m.name());
        let negative = matches!(m.op(), NotEqual | NotRegex) && m.matches_empty();
        negative || same.all(Matcher::matches_empty)
    };
    let (last, first): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(takes_away);
    let matchers = first.into_iter().chain(last);
    let mut builder = varve_model::Labels::empty().builder();
    let mut seen: Vec<&str> = Vec::new();
    for m in matchers.filter(|m| m.name() != varve_model::METRIC_NAME) {
        if m.op() == varve_model::MatchOp::Equal && !seen.contains(&m.name()) {
            builder.set(m.name(), m.value());
            seen.push(m.name());
        } else {
            builder.remove(m.name());
        }
    }
    builder.build()
}

/// Whether an operator makes another quantity of its operands.
pub(crate) fn changes_schema(op: BinaryOp) -> bool {
    match op {
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::Pow
        | BinaryOp::Atan2 => true,
        BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => false,
    }
}
