//! Expressions whose intermediate results are moved by a rounding error: what
//! the judge makes of them shows by how much its own answer could be another.
//! Moving the samples does not show that where a function hides it (`atan2`).

use varve_promql::ast::{Binary, BinaryOp, Expr, ExprKind, ValueType, VectorMatching};

/// What results are multiplied with.
const FACTORS: [f64; 2] = [1.0 + f64::EPSILON, 1.0 - f64::EPSILON];

/// The expression with every float result within it moved: all up, all down,
/// and some of each.
pub(super) fn nudged(expr: &Expr) -> Vec<String> {
    (0..4u32)
        .map(|pattern| {
            let (mut expr, mut count) = (expr.clone(), 0);
            within(&mut expr, pattern, &mut count);
            expr.to_string()
        })
        .collect()
}

fn within(expr: &mut Expr, pattern: u32, count: &mut u32) {
    let mut each = |e: &mut Expr| {
        within(e, pattern, count);
        if moves(e) {
            *count += 1;
            let down = match pattern {
                0 => 0,
                1 => 1,
                n => (*count >> (n - 2)) & 1,
            };
            multiply(e, FACTORS[down as usize]);
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
        ExprKind::Paren(e) => within(e, pattern, count),
    }
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

/// `(expr) * factor`
fn multiply(expr: &mut Expr, factor: f64) {
    let span = expr.span;
    let at = |kind| Expr { span, kind };
    let matching: Option<VectorMatching> = None;
    let lhs = at(ExprKind::Paren(Box::new(std::mem::replace(
        expr,
        at(ExprKind::Number { value: 0.0, duration: false }),
    ))));
    let rhs = at(ExprKind::Number { value: factor, duration: false });
    let op = BinaryOp::Mul;
    let product = Binary { op, op_span: span, lhs, rhs, return_bool: false, matching };
    *expr = at(ExprKind::Paren(Box::new(at(ExprKind::Binary(Box::new(product))))));
}

#[cfg(test)]
mod tests {
    use varve_promql::parse::{Options, parse_expr};

    use super::*;

    #[test]
    fn results_are_moved_and_nothing_else() {
        let expr = parse_expr("stddev(atan(x) + last_over_time(y[1m]))", &Options::all());
        let all = nudged(&expr.expect("a valid query"));
        let up = "1.0000000000000002";
        let want = format!("stddev(((((atan(x)) * {up}) + last_over_time(y[1m])) * {up}))");
        assert_eq!(all[0], want);
        assert_eq!(all.len(), 4);
    }
}
