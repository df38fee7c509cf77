//! `/parse_query`: a query's syntax tree as JSON, in the shape that
//! Prometheus' page draws.
//!
//! The tree's height is limited by the parser, so that this may recurse.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use varve_model::Matcher;
use varve_promql::ast::{
    At, Binary, Cardinality, DurationExpr, DurationKind, Expr, ExprKind, Extended, Shift, UnaryOp,
    ValueType, VectorSelector,
};
use varve_promql::parse::parse_expr;

use crate::params::Form;
use crate::reply::{ApiError, success};
use crate::routes::QueryState;

pub(crate) async fn parse(
    State(state): State<Arc<QueryState>>,
    form: Form,
) -> Result<Response, ApiError> {
    let expr = parse_expr(form.get("query"), &state.querier.parse_options())
        .map_err(|e| ApiError::parameter("query", e))?;
    Ok(success(|out| out.push_str(&node(&expr).to_string())))
}

fn node(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => json!({"type": "numberLiteral", "val": number(*value)}),
        ExprKind::String(s) => {
            json!({"type": "stringLiteral", "val": String::from_utf8_lossy(s)})
        }
        ExprKind::Selector(s) => selector("vectorSelector", s),
        ExprKind::Range(r) => {
            let mut value = selector("matrixSelector", &r.selector);
            set_duration(&mut value, "range", "rangeExpr", Some(&r.range));
            value
        }
        ExprKind::Subquery(s) => {
            let mut value = json!({"type": "subquery", "expr": node(&s.expr)});
            set_duration(&mut value, "range", "rangeExpr", Some(&s.range));
            set_duration(&mut value, "step", "stepExpr", s.step.as_ref());
            set_shift(&mut value, &s.shift);
            value
        }
        ExprKind::Call(call) => {
            let types =
                |types: &[ValueType]| -> Vec<&str> { types.iter().map(|t| t.as_str()).collect() };
            json!({
                "type": "call",
                "func": {
                    "name": call.func.name,
                    "argTypes": types(call.func.args),
                    "variadic": call.func.variadic,
                    "returnType": call.func.returns.as_str(),
                },
                "args": call.args.iter().map(node).collect::<Vec<_>>(),
            })
        }
        ExprKind::Aggregate(a) => json!({
            "type": "aggregation",
            "op": a.op.as_str(),
            "expr": node(&a.expr),
            "param": a.param.as_ref().map(node),
            "grouping": a.grouping,
            "without": a.without,
        }),
        ExprKind::Binary(b) => json!({
            "type": "binaryExpr",
            "op": b.op.as_str(),
            "lhs": node(&b.lhs),
            "rhs": node(&b.rhs),
            "matching": matching(b),
            "bool": b.return_bool,
        }),
        ExprKind::Unary(op, inner) => {
            json!({"type": "unaryExpr", "op": sign(*op), "expr": node(inner)})
        }
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": node(inner)}),
    }
}

fn sign(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Plus => "+",
        UnaryOp::Minus => "-",
    }
}

fn number(v: f64) -> String {
    match v {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        v => v.to_string(),
    }
}

fn matching(binary: &Binary) -> Value {
    let Some(m) = &binary.matching else { return Value::Null };
    let card = match m.card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card,
        "labels": m.labels,
        "on": m.on,
        "include": m.include,
        "fillValues": {"lhs": m.fill_left, "rhs": m.fill_right},
    })
}

fn selector(kind: &str, s: &VectorSelector) -> Value {
    let matcher =
        |m: &Matcher| json!({"name": m.name(), "value": m.value(), "type": m.op().as_str()});
    let mut value = json!({
        "type": kind,
        "name": s.name,
        "matchers": s.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "anchored": s.extended == Some(Extended::Anchored),
        "smoothed": s.extended == Some(Extended::Smoothed),
    });
    set_shift(&mut value, &s.shift);
    value
}

fn set_shift(value: &mut Value, shift: &Shift) {
    set_duration(value, "offset", "offsetExpr", shift.offset.as_ref());
    let (timestamp, special) = match shift.at {
        None => (None, None),
        Some(At::Time(ms)) => (Some(ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    };
    value["timestamp"] = json!(timestamp);
    value["startOrEnd"] = json!(special);
}

/// A literal stands as milliseconds under `name`, anything else as a tree
/// under `tree`.
fn set_duration(value: &mut Value, name: &str, tree: &str, d: Option<&DurationExpr>) {
    let (ms, expr) = match d {
        None => (0, Value::Null),
        Some(DurationExpr { kind: DurationKind::Literal { seconds, .. }, .. }) => {
            ((seconds * 1000.0).round() as i64, Value::Null)
        }
        Some(other) => (0, duration(other, false)),
    };
    value[name] = json!(ms);
    value[tree] = expr;
}

fn duration(d: &DurationExpr, wrapped: bool) -> Value {
    let tree = |op: &str, lhs: Value, rhs: Value| json!({"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped});
    match &d.kind {
        DurationKind::Literal { seconds, unit } => {
            let literal =
                json!({"type": "numberLiteral", "val": number(*seconds), "duration": unit});
            // A literal has no mark for parentheses: it stands under a plus.
            if wrapped { tree("+", Value::Null, literal) } else { literal }
        }
        DurationKind::Step => tree("step", Value::Null, Value::Null),
        DurationKind::Range => tree("range", Value::Null, Value::Null),
        DurationKind::Min(a, b) => tree("min_of", duration(a, false), duration(b, false)),
        DurationKind::Max(a, b) => tree("max_of", duration(a, false), duration(b, false)),
        DurationKind::Unary(op, a) => tree(sign(*op), Value::Null, duration(a, false)),
        DurationKind::Binary(op, a, b) => tree(op.as_str(), duration(a, false), duration(b, false)),
        DurationKind::Paren(inner) => duration(inner, true),
    }
}

#[cfg(test)]
mod tests {
    use varve_promql::parse::Options;

    use super::*;

    fn check(query: &str, want: Value) {
        let expr = parse_expr(query, &Options::all()).unwrap();
        assert_eq!(node(&expr), want, "{query}");
    }

    #[test]
    fn trees_have_prometheus_shape() {
        let up = json!({
            "type": "vectorSelector", "name": "up", "offset": 0, "offsetExpr": null,
            "matchers": [{"name": "__name__", "value": "up", "type": "="}],
            "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
        });
        check("up", up.clone());
        check(
            "rate(up[5m] offset -1s @ 2)",
            json!({
                "type": "call",
                "func": {
                    "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector",
                },
                "args": [{
                    "type": "matrixSelector", "name": "up", "range": 300_000, "rangeExpr": null,
                    "offset": -1000, "offsetExpr": null,
                    "matchers": [{"name": "__name__", "value": "up", "type": "="}],
                    "timestamp": 2000, "startOrEnd": null, "anchored": false, "smoothed": false,
                }],
            }),
        );
        check(
            "up + on(a) group_left(b) up",
            json!({
                "type": "binaryExpr", "op": "+", "lhs": up, "rhs": up, "bool": false,
                "matching": {
                    "card": "many-to-one", "labels": ["a"], "on": true, "include": ["b"],
                    "fillValues": {"lhs": null, "rhs": null},
                },
            }),
        );
        check(
            "-sum by (a) (up)",
            json!({
                "type": "unaryExpr", "op": "-",
                "expr": {
                    "type": "aggregation", "op": "sum", "expr": up, "param": null,
                    "grouping": ["a"], "without": false,
                },
            }),
        );
        check(
            "up[(1m)+step():] @ end()",
            json!({
                "type": "subquery", "expr": up, "range": 0, "step": 0, "stepExpr": null,
                "rangeExpr": {
                    "type": "durationExpr", "op": "+", "wrapped": false,
                    "lhs": {
                        "type": "durationExpr", "op": "+", "lhs": null, "wrapped": true,
                        "rhs": {"type": "numberLiteral", "val": "60", "duration": true},
                    },
                    "rhs": {
                        "type": "durationExpr", "op": "step", "lhs": null, "rhs": null,
                        "wrapped": false,
                    },
                },
                "offset": 0, "offsetExpr": null, "timestamp": null, "startOrEnd": "end",
            }),
        );
    }
}
