//! At which time `info` looks info series up: that of its first argument,
//! when all its selectors agree on one.
//!
//! Source: Prometheus, promql/info.go `infoSelectTimestampAndOffset`.

use super::Lookup;
use super::time::QueryTimes;
use crate::ast::{Expr, ExprKind, Shift, ValueType};

/// The reference that all selectors share, `None` when they do not share one.
pub(super) fn reference(expr: &Expr, times: &QueryTimes) -> Option<Lookup> {
    let mut found = Found { first: None, uniform: true, free: false };
    inspect(expr, times, &mut Vec::new(), &mut found);
    found.first.filter(|_| found.uniform && !found.free)
}

struct Found {
    first: Option<Lookup>,
    uniform: bool,
    /// Whether some vector comes from no selector.
    free: bool,
}

impl Found {
    fn add(&mut self, lookup: Lookup) {
        match &self.first {
            None => self.first = Some(lookup),
            Some(first) => self.uniform &= same(first, &lookup),
        }
    }
}

fn same(a: &Lookup, b: &Lookup) -> bool {
    match (a.at, b.at) {
        (Some(x), Some(y)) => x.saturating_sub(a.offset) == y.saturating_sub(b.offset),
        (None, None) => a.offset == b.offset,
        _ => false,
    }
}

/// Returns whether there is a selector within.
fn inspect<'e>(
    expr: &'e Expr,
    times: &QueryTimes,
    outer: &mut Vec<&'e Shift>,
    found: &mut Found,
) -> bool {
    if !matches!(super::build::value_type(expr), ValueType::Vector | ValueType::Matrix) {
        return false;
    }
    let selector = |shift: &Shift, outer: &[&Shift], found: &mut Found| {
        let mut lookup = times.lookup(shift).unwrap_or_default();
        for shift in outer.iter().rev() {
            if lookup.at.is_some() {
                break;
            }
            let around = times.lookup(shift).unwrap_or_default();
            lookup.offset = lookup.offset.saturating_add(around.offset);
            lookup.at = around.at;
        }
        found.add(lookup);
        true
    };
    let any = match &expr.kind {
        ExprKind::Selector(s) => return selector(&s.shift, outer, found),
        ExprKind::Range(r) => return selector(&r.selector.shift, outer, found),
        ExprKind::Subquery(s) => {
            outer.push(&s.shift);
            let any = inspect(&s.expr, times, outer, found);
            outer.pop();
            any
        }
        ExprKind::Call(c) if c.func.name == "info" => {
            return inspect(&c.args[0], times, outer, found);
        }
        ExprKind::Call(c) => {
            let mut any = false;
            for arg in &c.args {
                any |= inspect(arg, times, outer, found);
            }
            any
        }
        ExprKind::Aggregate(a) => {
            let param = a.param.as_ref().is_some_and(|p| inspect(p, times, outer, found));
            inspect(&a.expr, times, outer, found) || param
        }
        ExprKind::Binary(b) => {
            let lhs = inspect(&b.lhs, times, outer, found);
            inspect(&b.rhs, times, outer, found) || lhs
        }
        ExprKind::Unary(_, e) | ExprKind::Paren(e) => inspect(e, times, outer, found),
        ExprKind::Number { .. } | ExprKind::String(_) => false,
    };
    found.free |= !any;
    any
}
