//! Duration expressions: what may stand in brackets and behind `offset`.
//!
//! Behind `offset` an expression ends after one literal, `step()`, `range()`,
//! `min_of()` or `max_of()`, so that `foo offset 5m + bar` adds `bar`.

use super::parser::{Parsed, Parser, join};
use super::token::{Kind, Token};
use crate::ast::{BinaryOp, DurationExpr, DurationKind, UnaryOp};

/// Seconds beyond which Go's 64 bits of nanoseconds overflow.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// Signs bind like `*`.
const SIGN_OPERAND: u8 = 3;

impl Parser<'_> {
    /// A duration that, if it is a literal, is greater than zero.
    pub(super) fn positive_duration(&mut self) -> Parsed<DurationExpr> {
        let duration = self.duration(0)?;
        if matches!(duration.kind, DurationKind::Literal { seconds, .. } if seconds <= 0.0) {
            return self.fail_behind(duration.span, "duration must be greater than 0");
        }
        Ok(duration)
    }

    /// The duration behind `offset`. NaN alone is refused: what number Go makes
    /// of it depends on the processor.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        let duration = self.shifting_duration()?;
        match duration.kind {
            DurationKind::Literal { seconds, .. } if seconds.is_nan() => {
                self.fail(token.span, "duration out of range")
            }
            _ => Ok(duration),
        }
    }

    fn shifting_duration(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        let Some(first) = sign(token.kind) else {
            return match token.kind {
                // Without a sign, operators may follow a parenthesis.
                Kind::LeftParen => self.duration(0),
                _ => self.duration_atom(),
            };
        };
        self.next();
        if sign(self.peek().kind).is_some() {
            // With two signs, operators may follow.
            let operand = self.nested(token.span, |p| p.duration(SIGN_OPERAND))?;
            let signed = self.signed(token, first, operand)?;
            return self.duration_operators(signed, 0);
        }
        let next = self.peek();
        if matches!(next.kind, Kind::Number | Kind::Duration) {
            // The sign is where a literal out of range is reported.
            self.next();
            let seconds = self.number_or_duration(next)?;
            let kind = DurationKind::Literal { seconds, unit: next.kind == Kind::Duration };
            return self.signed(token, first, DurationExpr { span: next.span, kind });
        }
        let operand = self.duration_atom()?;
        self.signed(token, first, operand)
    }

    /// A duration whose operators are all at least this strong.
    fn duration(&mut self, weakest: u8) -> Parsed<DurationExpr> {
        let token = self.peek();
        let left = match sign(token.kind) {
            Some(sign) => {
                self.next();
                let operand = self.nested(token.span, |p| p.duration(SIGN_OPERAND))?;
                self.signed(token, sign, operand)?
            }
            None => self.duration_atom()?,
        };
        self.duration_operators(left, weakest)
    }

    fn duration_operators(&mut self, mut left: DurationExpr, weakest: u8) -> Parsed<DurationExpr> {
        let mut count = 0;
        loop {
            let token = self.peek();
            let Kind::Op(op) = token.kind else { return Ok(left) };
            let strength = match op {
                BinaryOp::Add | BinaryOp::Sub => 1,
                BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 2,
                BinaryOp::Pow => 3,
                _ => return Ok(left),
            };
            if strength < weakest {
                return Ok(left);
            }
            self.next();
            let right_weakest = if op == BinaryOp::Pow { strength } else { strength + 1 };
            let right = self.nested(token.span, |p| p.duration(right_weakest))?;
            self.check_enabled(&left)?;
            let zero =
                matches!(right.kind, DurationKind::Literal { seconds, .. } if seconds == 0.0);
            match op {
                BinaryOp::Div if zero => return self.fail_behind(token.span, "division by zero"),
                BinaryOp::Mod if zero => return self.fail_behind(token.span, "modulo by zero"),
                _ => {}
            }
            count += 1;
            if count > super::parser::MAX_HEIGHT {
                let message = format!(
                    "a duration has more than {} operators in a row",
                    super::parser::MAX_HEIGHT
                );
                return self.fail(token.span, message);
            }
            let span = join(left.span, right.span);
            let kind = DurationKind::Binary(op, Box::new(left), Box::new(right));
            left = DurationExpr { span, kind };
        }
    }

    /// A literal, a call or a parenthesis.
    fn duration_atom(&mut self) -> Parsed<DurationExpr> {
        let token = self.next();
        match token.kind {
            Kind::Number | Kind::Duration => {
                let seconds = self.number_or_duration(token)?;
                let unit = token.kind == Kind::Duration;
                let kind = DurationKind::Literal { seconds, unit };
                self.in_range(token, DurationExpr { span: token.span, kind })
            }
            Kind::Step | Kind::Range => {
                self.expect(Kind::LeftParen)?;
                let close = self.expect(Kind::RightParen)?;
                let kind = match token.kind {
                    Kind::Step => DurationKind::Step,
                    _ => DurationKind::Range,
                };
                self.enabled(DurationExpr { span: join(token.span, close.span), kind })
            }
            Kind::MinOf | Kind::MaxOf => {
                self.expect(Kind::LeftParen)?;
                let a = Box::new(self.nested(token.span, |p| p.duration(0))?);
                self.expect(Kind::Comma)?;
                let b = Box::new(self.nested(token.span, |p| p.duration(0))?);
                let close = self.expect(Kind::RightParen)?;
                let kind = match token.kind {
                    Kind::MinOf => DurationKind::Min(a, b),
                    _ => DurationKind::Max(a, b),
                };
                self.enabled(DurationExpr { span: join(token.span, close.span), kind })
            }
            Kind::LeftParen => {
                let inner = self.nested(token.span, |p| p.duration(0))?;
                let close = self.expect(Kind::RightParen)?;
                self.check_enabled(&inner)?;
                // Two pairs of parentheses are one.
                let kind = match inner.kind {
                    paren @ DurationKind::Paren(_) => paren,
                    _ => DurationKind::Paren(Box::new(inner)),
                };
                Ok(DurationExpr { span: join(token.span, close.span), kind })
            }
            _ => self.unexpected(token),
        }
    }

    /// Applies a sign: it becomes part of a literal, and `+` of anything else is nothing.
    fn signed(
        &self,
        token: Token,
        sign: UnaryOp,
        mut operand: DurationExpr,
    ) -> Parsed<DurationExpr> {
        let span = join(token.span, operand.span);
        if let DurationKind::Literal { seconds, .. } = &mut operand.kind {
            if sign == UnaryOp::Minus {
                *seconds = -*seconds;
            }
            operand.span = span;
            return self.in_range(token, operand);
        }
        Ok(match sign {
            UnaryOp::Plus => operand,
            UnaryOp::Minus => {
                DurationExpr { span, kind: DurationKind::Unary(sign, Box::new(operand)) }
            }
        })
    }

    fn in_range(&self, at: Token, literal: DurationExpr) -> Parsed<DurationExpr> {
        match literal.kind {
            DurationKind::Literal { seconds, .. } if seconds.abs() > MAX_SECONDS => {
                self.fail(at.span, "duration out of range")
            }
            _ => Ok(literal),
        }
    }

    fn enabled(&self, duration: DurationExpr) -> Parsed<DurationExpr> {
        self.check_enabled(&duration)?;
        Ok(duration)
    }

    fn check_enabled(&self, duration: &DurationExpr) -> Parsed<()> {
        if self.options.duration_expr {
            return Ok(());
        }
        self.fail(duration.span, "experimental duration expression is not enabled")
    }
}

fn sign(kind: Kind) -> Option<UnaryOp> {
    match kind {
        Kind::Op(BinaryOp::Add) => Some(UnaryOp::Plus),
        Kind::Op(BinaryOp::Sub) => Some(UnaryOp::Minus),
        _ => None,
    }
}
