//! Which parts of a query are the same at every step.
//!
//! Source of the rules: Prometheus, promql/engine.go `preprocessExprHelper`.
//! An aggregation counts as invariant when what it aggregates is, whatever
//! its parameter; that is Prometheus' rule, too.

use super::info::reference;
use super::time::QueryTimes;
use crate::ast::{Call, Expr, ExprKind, VectorSelector};

/// Functions whose result depends on the evaluation time.
const TIMED: &[&str] = &[
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

/// Whether an expression has one value for all steps.
pub(super) fn is_invariant(expr: &Expr, times: &QueryTimes) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Selector(s) => pinned(s),
        ExprKind::Range(r) => pinned(&r.selector),
        ExprKind::Subquery(s) => s.shift.at.is_some(),
        ExprKind::Call(c) => call(c, times),
        ExprKind::Aggregate(a) => is_invariant(&a.expr, times),
        ExprKind::Binary(b) => is_invariant(&b.lhs, times) && is_invariant(&b.rhs, times),
        ExprKind::Unary(_, e) | ExprKind::Paren(e) => is_invariant(e, times),
    }
}

/// Whether it is worth evaluating once: literals and matrices are not.
pub(super) fn is_worth_once(expr: &Expr, times: &QueryTimes) -> bool {
    match &expr.kind {
        ExprKind::Number { .. }
        | ExprKind::String(_)
        | ExprKind::Range(_)
        | ExprKind::Subquery(_) => false,
        ExprKind::Paren(e) | ExprKind::Unary(_, e) => is_worth_once(e, times),
        ExprKind::Selector(_)
        | ExprKind::Call(_)
        | ExprKind::Aggregate(_)
        | ExprKind::Binary(_) => is_invariant(expr, times),
    }
}

fn pinned(s: &VectorSelector) -> bool {
    s.shift.at.is_some()
}

fn call(c: &Call, times: &QueryTimes) -> bool {
    match c.func.name {
        // Folded into numbers.
        "start" | "end" | "range" | "step" => true,
        "timestamp" => matches!(&unwrapped(&c.args[0]).kind, ExprKind::Selector(s) if pinned(s)),
        "info" => {
            let arg = c.args.first();
            arg.is_some_and(|a| is_invariant(a, times) && reference(a, times).is_some())
        }
        name => !TIMED.contains(&name) && c.args.iter().all(|a| is_invariant(a, times)),
    }
}

/// The expression without parentheses around it.
pub(super) fn unwrapped(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}
