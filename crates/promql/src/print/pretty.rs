//! Long expressions over several indented lines, as `/format_query` answers.
//!
//! What fits 100 bytes stays on one line.

use std::fmt::{self, Display, Formatter};

use super::{Suffix, sign, write_aggregate_head, write_operator};
use crate::ast::{Aggregate, Binary, Expr, ExprKind};

/// The longest text that is not broken up, in bytes.
const MAX_LINE: usize = 100;

/// Prints an expression with line breaks.
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

struct Head<'a>(&'a Aggregate);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_aggregate_head(f, self.0)
    }
}

struct Operator<'a>(&'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_operator(f, self.0)
    }
}

fn at_level(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    let long = line.len() > MAX_LINE;
    match &expr.kind {
        ExprKind::Unary(op, inner) => {
            format!("{indent}{}{}", sign(*op), at_level(inner, level).trim())
        }
        // A short subquery is not indented: so does Prometheus.
        ExprKind::Subquery(_) if !long => line,
        ExprKind::Subquery(s) => format!("{}{}", at_level(&s.expr, level), Suffix(s)),
        ExprKind::Aggregate(a) if long => {
            let param = a
                .param
                .as_ref()
                .map(|p| format!("{},\n", at_level(p, level + 1)))
                .unwrap_or_default();
            let inner = at_level(&a.expr, level + 1);
            format!("{indent}{}(\n{param}{inner}\n{indent})", Head(a))
        }
        ExprKind::Binary(b) if long => {
            let (lhs, rhs) = (at_level(&b.lhs, level + 1), at_level(&b.rhs, level + 1));
            format!("{lhs}\n{indent}{}\n{rhs}", Operator(b))
        }
        ExprKind::Call(call) if long => {
            let args: Vec<String> = call.args.iter().map(|a| at_level(a, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", call.func.name, args.join(",\n"))
        }
        ExprKind::Paren(inner) if long => {
            format!("{indent}(\n{}\n{indent})", at_level(inner, level + 1))
        }
        _ => format!("{indent}{line}"),
    }
}
