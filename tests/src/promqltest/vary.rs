//! The variations in which an instant query has to give the same answer: with
//! `@` set on every selector, evaluated at other times.

use varve_promql::ast::{At, Expr, ExprKind, Shift};
use varve_promql::parse::{Options, parse_expr};

/// Functions whose answer depends on the evaluation time.
const TIMED: &[&str] = &[
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// The query as it is, and its variations with their evaluation times.
pub(crate) fn variations(expr: &str, time: i64) -> Vec<(String, i64)> {
    let mut out = vec![(expr.to_owned(), time)];
    let Ok(mut tree) = parse_expr(expr, &Options::all()) else { return out };
    let mut timed = false;
    pin(&mut tree, time, &mut timed);
    if timed {
        return out;
    }
    let pinned = tree.to_string();
    let times = match time {
        0 => vec![-1000, 0, 1000],
        t => vec![-10 * t, 0, t / 5, t, 10 * t],
    };
    out.extend(times.into_iter().map(|t| (pinned.clone(), t)));
    out
}

/// Sets `@` where there is none; what lies within a subquery that has one by
/// then is left alone.
fn pin(expr: &mut Expr, time: i64, timed: &mut bool) {
    let set = |shift: &mut Shift| {
        if !matches!(shift.at, Some(At::Time(_))) {
            shift.at = Some(At::Time(time));
        }
    };
    match &mut expr.kind {
        ExprKind::Selector(s) => set(&mut s.shift),
        ExprKind::Range(r) => set(&mut r.selector.shift),
        ExprKind::Subquery(s) => set(&mut s.shift),
        ExprKind::Call(c) => {
            *timed |= TIMED.contains(&c.func.name);
            c.args.iter_mut().for_each(|a| pin(a, time, timed));
        }
        ExprKind::Aggregate(a) => {
            a.param.iter_mut().for_each(|p| pin(p, time, timed));
            pin(&mut a.expr, time, timed);
        }
        ExprKind::Binary(b) => {
            pin(&mut b.lhs, time, timed);
            pin(&mut b.rhs, time, timed);
        }
        ExprKind::Unary(_, e) | ExprKind::Paren(e) => pin(e, time, timed),
        ExprKind::Number { .. } | ExprKind::String(_) => {}
    }
}
