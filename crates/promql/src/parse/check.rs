//! The types of a parsed expression, and what no grammar says: argument
//! counts, matching, selectors that would take everything.
//!
//! Errors come in the order in which Prometheus' checker finds them.

use varve_model::METRIC_NAME;

use super::ParseError;
use super::quote::quote;
use crate::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType,
    VectorSelector,
};

/// Checks expressions of one query.
pub(super) struct Checker<'a> {
    pub(super) input: &'a str,
}

type Checked<T> = Result<T, ParseError>;

impl Checker<'_> {
    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.input, span, message))
    }

    /// Checks `expr` and everything below, and returns its type.
    pub(super) fn check(&self, expr: &mut Expr) -> Checked<ValueType> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number { .. } => Ok(ValueType::Scalar),
            ExprKind::String(_) => Ok(ValueType::String),
            ExprKind::Selector(s) => {
                self.selector(span, s)?;
                Ok(ValueType::Vector)
            }
            ExprKind::Range(r) => {
                self.selector(r.selector_span, &r.selector)?;
                Ok(ValueType::Matrix)
            }
            ExprKind::Subquery(s) => {
                let inner = self.check(&mut s.expr)?;
                if inner != ValueType::Vector {
                    let message = format!(
                        "subquery is only allowed on instant vector, got {} instead",
                        inner.as_str()
                    );
                    return self.fail(span, message);
                }
                Ok(ValueType::Matrix)
            }
            ExprKind::Call(call) => self.call(span, call),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Binary(binary) => self.binary(span, binary),
            ExprKind::Unary(_, inner) => {
                let inner = self.check(inner)?;
                if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(inner.documented())
                    );
                    return self.fail(span, message);
                }
                Ok(inner)
            }
            ExprKind::Paren(inner) => self.check(inner),
        }
    }

    fn expect(&self, expr: &mut Expr, want: ValueType, context: &str) -> Checked<()> {
        let got = self.check(expr)?;
        if got == want {
            return Ok(());
        }
        let (want, got) = (want.documented(), got.documented());
        self.fail(expr.span, format!("expected type {want} in {context}, got {got}"))
    }

    fn selector(&self, span: Span, selector: &VectorSelector) -> Checked<()> {
        let matchers = &selector.matchers;
        if selector.name.is_empty() {
            let selects =
                selector.allows_empty_matchers || matchers.iter().any(|m| !m.matches_empty());
            if selects {
                return Ok(());
            }
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        // The last matcher is that of the name before the braces.
        let inside = matchers.split_last().map_or(&[][..], |(_, rest)| rest);
        match inside.iter().find(|m| m.name() == METRIC_NAME) {
            None => Ok(()),
            Some(m) => {
                let message = format!(
                    "metric name must not be set twice: {} or {}",
                    quote(&selector.name),
                    quote(m.value())
                );
                self.fail(span, message)
            }
        }
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(param) = &mut aggregate.param {
            let want = match aggregate.op {
                AggregateOp::CountValues => ValueType::String,
                _ => ValueType::Scalar,
            };
            self.expect(param, want, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn binary(&self, span: Span, binary: &mut Binary) -> Checked<ValueType> {
        let (left, right) = (self.check(&mut binary.lhs)?, self.check(&mut binary.rhs)?);
        let (op, at) = (binary.op, binary.op_span);
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if binary.return_bool && !op.is_comparison() {
            return self.fail(at, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && scalars {
            return self.fail(at, "comparisons between scalars must use BOOL modifier");
        }
        if let Some(m) = &mut binary.matching {
            if op.is_set() && m.card == Cardinality::OneToOne {
                m.card = Cardinality::ManyToMany;
            }
            let both = m.labels.iter().find(|l| m.on && m.include.contains(l));
            if let Some(label) = both {
                let message =
                    format!("label {} must not occur in ON and GROUP clause at once", quote(label));
                return self.fail(at, message);
            }
        }
        for (side, kind) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.span, message);
            }
        }
        self.matching(span, binary, left, right)?;
        Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    fn matching(
        &self,
        span: Span,
        binary: &mut Binary,
        left: ValueType,
        right: ValueType,
    ) -> Checked<()> {
        let op = binary.op;
        let vectors = left == ValueType::Vector && right == ValueType::Vector;
        if let Some(m) = &binary.matching {
            let fills = m.fill_left.is_some() || m.fill_right.is_some();
            if !vectors {
                if !m.labels.is_empty() {
                    return self.fail(span, "vector matching only allowed between instant vectors");
                }
                if fills {
                    let message = "filling in missing series only allowed between instant vectors";
                    return self.fail(span, message);
                }
            } else if op.is_set() {
                if m.card != Cardinality::ManyToMany {
                    let message =
                        format!("no grouping allowed for {} operation", quote(op.as_str()));
                    return self.fail(span, message);
                }
                if fills {
                    let message = "filling in missing series not allowed for set operators";
                    return self.fail(span, message);
                }
            }
        }
        if vectors {
            return Ok(());
        }
        binary.matching = None;
        if op.is_set() {
            let message = format!(
                "set operator {} not allowed in binary scalar expression",
                quote(op.as_str())
            );
            return self.fail(span, message);
        }
        Ok(())
    }

    fn call(&self, span: Span, call: &mut Call) -> Checked<ValueType> {
        let (func, got) = (call.func, call.args.len());
        let name = quote(func.name);
        let types = func.args.len();
        let least = if func.variadic == 0 { types } else { types.saturating_sub(1) };
        let most = usize::try_from(func.variadic).ok().map(|n| least + n);
        let wrong = match func.variadic {
            0 if got != types => {
                Some(format!("expected {types} argument(s) in call to {name}, got {got}"))
            }
            0 => None,
            _ if got < least => {
                Some(format!("expected at least {least} argument(s) in call to {name}, got {got}"))
            }
            _ => most.filter(|most| got > *most).map(|most| {
                format!("expected at most {most} argument(s) in call to {name}, got {got}")
            }),
        };
        if let Some(message) = wrong {
            return self.fail(span, message);
        }
        if func.name == "info"
            && let Some(data) = call.args.get_mut(1)
        {
            self.info_selector(span, data)?;
        }
        for (i, arg) in call.args.iter_mut().enumerate() {
            let Some(want) = func.args.get(i).or(func.args.last()) else { break };
            let got = self.check(arg)?;
            if got != *want {
                let message = format!(
                    "expected type {} in call to function {name}, got {}",
                    want.documented(),
                    got.documented()
                );
                return self.fail(arg.span, message);
            }
        }
        Ok(func.returns)
    }

    /// The second argument of `info` names labels, not series.
    fn info_selector(&self, span: Span, data: &mut Expr) -> Checked<()> {
        let at = data.span;
        match &mut data.kind {
            ExprKind::Selector(s) if s.name.is_empty() => {
                s.allows_empty_matchers = true;
                Ok(())
            }
            ExprKind::Selector(_) => {
                self.fail(at, "expected label selectors only, got vector selector instead")
            }
            _ => match data.value_type() {
                ValueType::Vector => self.fail(at, "expected label selectors only"),
                other => {
                    let message = format!(
                        "expected type instant vector in call to function \"info\", got {}",
                        other.documented()
                    );
                    self.fail(span, message)
                }
            },
        }
    }
}
