//! Expressions whose intermediate results are moved by a rounding error: what
//! the judge makes of them shows by how much its own answer could be another.
//! Moving the samples does not show that where a function hides it (`atan2`).

use varve_promql::ast::{Binary, BinaryOp, Expr, ExprKind, ValueType, VectorMatching};
use varve_promql::parse::{Options, parse_expr};

/// What results are multiplied with.
const FACTORS: [f64; 2] = [1.0 + f64::EPSILON, 1.0 - f64::EPSILON];

/// What results are multiplied with and divided by again: of each, rounding
/// makes the same or a neighbour.
const SHAKES: [f64; 8] = [1.1, 0.7, 1.3, 0.9, 1.7, 0.3, 1.9, 0.6];

/// How the results within an expression are moved.
#[derive(Clone, Copy)]
enum Move {
    /// All up, all down, or some of each.
    Factor(u32),
    /// Each by itself.
    Apart(f64),
}

/// The expression with every float result within it moved: all up, all down,
/// or some of each.
pub(super) fn nudged(expr: &Expr) -> Vec<String> {
    (0..4).map(|pattern| moved(expr, Move::Factor(pattern))).collect()
}

/// The expression with every float result within it moved by itself, so that
/// results that cancel are moved apart. Where a function has one vector as its
/// argument its sine decides which way; of histograms nothing is left then.
pub(super) fn apart(expr: &Expr) -> Vec<String> {
    SHAKES.map(|by| moved(expr, Move::Apart(by))).into()
}

fn moved(expr: &Expr, how: Move) -> String {
    let (mut expr, mut count) = (expr.clone(), 0);
    within(&mut expr, how, &mut count);
    expr.to_string()
}

fn within(expr: &mut Expr, how: Move, count: &mut u32) {
    let mut each = |e: &mut Expr| {
        let of = argument(e);
        within(e, how, count);
        if !moves(e) {
            return;
        }
        *count += 1;
        match how {
            Move::Factor(pattern) => {
                let down = match pattern {
                    0 => 0,
                    1 => 1,
                    n => (*count >> (n - 2)) & 1,
                };
                combine(e, BinaryOp::Mul, FACTORS[down as usize]);
            }
            Move::Apart(by) => match of.as_ref().map(|of| turned(e, of, by)) {
                Some(turned) => *e = turned,
                None => {
                    combine(e, BinaryOp::Mul, by);
                    combine(e, BinaryOp::Div, by);
                }
            },
        }
    };
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(_) | ExprKind::Range(_) => {}
        ExprKind::Subquery(s) => each(&mut s.expr),
        // The second argument of `info` is no expression.
        ExprKind::Call(c) if c.func.name == "info" => each(&mut c.args[0]),
        ExprKind::Call(c) => c.args.iter_mut().for_each(each),
        ExprKind::Aggregate(a) => each(&mut a.expr),
        ExprKind::Binary(b) => {
            each(&mut b.lhs);
            each(&mut b.rhs);
        }
        ExprKind::Unary(_, e) => each(e),
        ExprKind::Paren(e) => within(e, how, count),
    }
}

/// The one instant vector that an expression maps sample by sample.
fn argument(expr: &Expr) -> Option<Expr> {
    let vector = |e: &&Expr| e.value_type() == ValueType::Vector;
    match &expr.kind {
        ExprKind::Paren(e) => argument(e),
        ExprKind::Call(c) => match &c.args[..] {
            [one] => Some(one).filter(vector).cloned(),
            _ => None,
        },
        ExprKind::Binary(b) => match (vector(&&b.lhs), vector(&&b.rhs)) {
            (true, false) => Some(b.lhs.clone()),
            (false, true) => Some(b.rhs.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// `(expr) * (1 + 2⁻⁵² * sgn(sin((of) * by * 1e9)))`: arguments that are small and
/// differ little turn either way, too.
fn turned(expr: &Expr, of: &Expr, by: f64) -> Expr {
    let (by, least) = (by * 1e9, f64::EPSILON);
    let text = format!("(({expr}) * (1 + {least:e} * sgn(sin(({of}) * {by}))))");
    parse_expr(&text, &Options::all()).unwrap_or_else(|_| expr.clone())
}

/// Whether an expression computes floats, and has no metric name any more.
fn moves(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Paren(e) => moves(e),
        ExprKind::Unary(..) => expr.value_type() == ValueType::Vector,
        ExprKind::Aggregate(a) => !a.op.has_param(),
        ExprKind::Binary(b) => {
            let scalar = expr.value_type() == ValueType::Scalar;
            !b.op.is_comparison() && !b.op.is_set() && !b.op.is_trim() && !scalar
        }
        ExprKind::Call(c) => {
            let keeps = ["label_", "sort", "absent", "info", "last_over", "first_over", "vector"];
            c.func.returns == ValueType::Vector && !keeps.iter().any(|k| c.func.name.starts_with(k))
        }
        _ => false,
    }
}

/// `((expr) op number)`
fn combine(expr: &mut Expr, op: BinaryOp, number: f64) {
    let span = expr.span;
    let at = |kind| Expr { span, kind };
    let matching: Option<VectorMatching> = None;
    let lhs = at(ExprKind::Paren(Box::new(std::mem::replace(
        expr,
        at(ExprKind::Number { value: 0.0, duration: false }),
    ))));
    let rhs = at(ExprKind::Number { value: number, duration: false });
    let moved = Binary { op, op_span: span, lhs, rhs, return_bool: false, matching };
    *expr = at(ExprKind::Paren(Box::new(at(ExprKind::Binary(Box::new(moved))))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_moved_and_nothing_else() {
        let expr = parse_expr("stddev(atan(x) + last_over_time(y[1m]))", &Options::all());
        let all = nudged(&expr.expect("a valid query"));
        let up = "1.0000000000000002";
        let want = format!("stddev(((((atan(x)) * {up}) + last_over_time(y[1m])) * {up}))");
        assert_eq!(all[0], want);
        let all = apart(&parse_expr("sum(atan(x))", &Options::all()).expect("a valid query"));
        let least = "0.0000000000000002220446049250313";
        let want = format!("sum(((atan(x)) * (1 + {least} * sgn(sin((x) * 1100000000)))))");
        assert_eq!(all[0], want);
        let all = apart(&parse_expr("sum(rate(x[1m]))", &Options::all()).expect("a valid query"));
        assert_eq!(all[0], "sum(((((rate(x[1m])) * 1.1)) / 1.1))");
    }
}
