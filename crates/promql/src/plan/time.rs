//! Durations and times of the query, made into milliseconds.
//!
//! Source of the arithmetic and its errors: Prometheus, promql/durations.go.

use super::Lookup;
use crate::ast::{At, BinaryOp, DurationExpr, DurationKind, Shift, Span, UnaryOp};
use crate::engine::{EngineError, Query};

/// What the query says of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryTimes {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl QueryTimes {
    pub(super) fn new(query: &Query) -> Self {
        Self { start: query.start_ms, end: query.end_ms, step: query.step_ms }
    }

    /// `step()`; 0 in an instant query.
    pub(super) fn step_seconds(&self) -> f64 {
        self.step as f64 / 1000.0
    }

    /// `range()`
    pub(super) fn range_seconds(&self) -> f64 {
        (self.end.saturating_sub(self.start)) as f64 / 1000.0
    }

    /// `offset` and `@` in milliseconds.
    pub(super) fn lookup(&self, shift: &Shift) -> Result<Lookup, EngineError> {
        let Shift { offset, at } = shift;
        let at = at.map(|at| match at {
            At::Time(t) => t,
            At::Start => self.start,
            At::End => self.end,
        });
        let offset = match offset {
            Some(d) => self.duration(d, true)?,
            None => 0,
        };
        Ok(Lookup { at, offset })
    }

    /// A duration in milliseconds; only an offset may be zero or negative.
    pub(super) fn duration(
        &self,
        expr: &DurationExpr,
        allow_negative: bool,
    ) -> Result<i64, EngineError> {
        let fail = |what: &str| {
            let place = place(expr);
            let message = format!("{}:{}: {what}", place.start, place.end);
            Err(EngineError::invalid(message))
        };
        if let DurationKind::Literal { seconds, unit: _ } = expr.kind {
            // A literal is read as nanoseconds, then cut to milliseconds.
            return Ok(((seconds * 1e9).round() / 1e6) as i64);
        }
        let seconds = self.seconds(expr)?;
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !allow_negative {
            return fail("duration must be greater than 0");
        }
        let limit = 9_223_372_036_854_775_808.0 / 1e9;
        if seconds > limit || seconds < -limit {
            return fail("duration is out of range");
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, EngineError> {
        let fail = |what: &str| {
            let place = place(expr);
            let message = format!("{}:{}: {what}", place.start, place.end);
            Err(EngineError::invalid(message))
        };
        Ok(match &expr.kind {
            DurationKind::Literal { seconds, unit: _ } => *seconds,
            DurationKind::Step => self.step_seconds(),
            DurationKind::Range => self.range_seconds(),
            DurationKind::Min(a, b) => crate::eval::number::min(self.seconds(a)?, self.seconds(b)?),
            DurationKind::Max(a, b) => crate::eval::number::max(self.seconds(a)?, self.seconds(b)?),
            DurationKind::Unary(UnaryOp::Plus, a) => self.seconds(a)?,
            DurationKind::Unary(UnaryOp::Minus, a) => -self.seconds(a)?,
            DurationKind::Paren(a) => self.seconds(a)?,
            DurationKind::Binary(op, a, b) => {
                let (a, b) = (self.seconds(a)?, self.seconds(b)?);
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div if b == 0.0 => return fail("division by zero"),
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod if b == 0.0 => return fail("modulo by zero"),
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => crate::eval::number::pow(a, b),
                    BinaryOp::Atan2
                    | BinaryOp::Eq
                    | BinaryOp::Ne
                    | BinaryOp::Lt
                    | BinaryOp::Le
                    | BinaryOp::Gt
                    | BinaryOp::Ge
                    | BinaryOp::And
                    | BinaryOp::Or
                    | BinaryOp::Unless
                    | BinaryOp::TrimUpper
                    | BinaryOp::TrimLower => {
                        let op = op.as_str();
                        return fail(&format!("unexpected duration expression operator {op:?}"));
                    }
                }
            }
        })
    }
}

/// Where Prometheus says that a duration stands: without parentheses, but for
/// the opening one of a literal, and of two operands, those of `max_of` too,
/// from the first to the second.
fn place(expr: &DurationExpr) -> Span {
    match &expr.kind {
        DurationKind::Literal { .. } | DurationKind::Step | DurationKind::Range => expr.span,
        DurationKind::Paren(inner) => match inner.kind {
            DurationKind::Literal { .. } => Span { end: inner.span.end, ..expr.span },
            _ => place(inner),
        },
        DurationKind::Unary(_, operand) => Span { end: place(operand).end, ..expr.span },
        DurationKind::Min(a, b) | DurationKind::Max(a, b) | DurationKind::Binary(_, a, b) => {
            Span { start: place(a).start, end: place(b).end }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::ExprKind;
    use crate::parse::{Options, parse_expr};

    #[test]
    fn errors_stand_where_prometheus_says() {
        let times = QueryTimes { start: 0, end: 60_000, step: 15_000 };
        for (text, place) in [
            ("foo offset (NaN)", "11:15"),
            ("foo offset -(NaN)", "11:16"),
            ("foo offset (5m) - NaN", "11:21"),
            ("foo offset (5m) * -NaN", "11:22"),
            ("foo offset min_of(NaN,5m)", "18:24"),
            ("fuzz_small offset (max_of(step(), 45)) ^ 1000", "26:45"),
        ] {
            let expr = parse_expr(text, &Options::all()).expect(text);
            let ExprKind::Selector(selector) = expr.kind else { panic!("{text}") };
            let error = times.lookup(&selector.shift).expect_err(text);
            assert_eq!(error.message, format!("{place}: duration is NaN or infinite"), "{text}");
        }
    }
}
