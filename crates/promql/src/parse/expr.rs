//! Expressions: operators by precedence, calls, aggregations, literals.
//!
//! From weakest to strongest: `or` — `and unless` — comparisons and trims —
//! `+ -` — `* / % atan2` and signs — `^` (to the right) — modifiers behind an
//! operand.

use super::number::{duration_ms, number};
use super::parser::{Context, Node, Parsed, Parser, join};
use super::quote::{quote, unquote};
use super::token::{Kind, Token};
use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Span, UnaryOp,
    VectorMatching,
};
use crate::functions;

const AGGREGATION: Context = Context::new("aggregation", "");
const GROUPING: Context = Context::new("grouping opts", "\"(\"");
const GROUPING_LABEL: Context = Context::new("grouping opts", "label");
const GROUPING_NEXT: Context = Context::new("grouping opts", "\",\" or \")\"");

/// Signs bind like `*`: their operand holds only operators stronger than that.
const SIGN_OPERAND: u8 = 6;

fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => 6,
        _ => 3,
    }
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<Node> {
        self.operators(0)
    }

    /// An expression whose operators are all at least this strong.
    fn operators(&mut self, weakest: u8) -> Parsed<Node> {
        let mut left = self.operand()?;
        loop {
            let token = self.peek();
            let Kind::Op(op) = token.kind else { return Ok(left) };
            let strength = precedence(op);
            if strength < weakest {
                return Ok(left);
            }
            self.next();
            let (return_bool, matching) = self.binary_modifiers()?;
            // Only ^ groups to the right.
            let right_weakest = if op == BinaryOp::Pow { strength } else { strength + 1 };
            let right = self.nested(token.span, |p| p.operators(right_weakest))?;
            let span = join(left.expr.span, right.expr.span);
            let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
            if fills && !self.options.binop_fill {
                return self.fail(span, "binop fill modifiers are experimental and not enabled");
            }
            let height = left.height.max(right.height);
            let kind = ExprKind::Binary(Box::new(Binary {
                op,
                op_span: token.span,
                lhs: left.expr,
                rhs: right.expr,
                return_bool,
                matching: Some(matching),
            }));
            left = self.node(Expr { span, kind }, height)?;
        }
    }

    /// A sign and its operand, or a primary expression and its modifiers.
    fn operand(&mut self) -> Parsed<Node> {
        let token = self.peek();
        let sign = match token.kind {
            Kind::Op(BinaryOp::Add) => UnaryOp::Plus,
            Kind::Op(BinaryOp::Sub) => UnaryOp::Minus,
            _ => {
                let primary = self.primary()?;
                return self.modifiers(primary);
            }
        };
        self.next();
        let mut inner = self.nested(token.span, |p| p.operators(SIGN_OPERAND))?;
        let span = join(token.span, inner.expr.span);
        if let ExprKind::Number { value, .. } = &mut inner.expr.kind {
            // A sign before a number is part of it.
            if sign == UnaryOp::Minus {
                *value = -*value;
            }
            inner.expr.span = span;
            return Ok(inner);
        }
        let height = inner.height;
        let kind = ExprKind::Unary(sign, Box::new(inner.expr));
        self.node(Expr { span, kind }, height)
    }

    fn primary(&mut self) -> Parsed<Node> {
        let token = self.next();
        let leaf = |kind| Ok(Node { expr: Expr { span: token.span, kind }, height: 1 });
        match token.kind {
            Kind::Number | Kind::Duration => {
                let value = self.number_or_duration(token)?;
                leaf(ExprKind::Number { value, duration: token.kind == Kind::Duration })
            }
            Kind::String => leaf(ExprKind::String(self.unquoted(token)?)),
            Kind::LeftParen => {
                let inner = self.nested(token.span, Self::expression)?;
                let close = self.expect(Kind::RightParen)?;
                let span = join(token.span, close.span);
                let height = inner.height;
                self.node(Expr { span, kind: ExprKind::Paren(Box::new(inner.expr)) }, height)
            }
            Kind::LeftBrace => self.selector_of_braces(token, None),
            Kind::Aggregate(op)
                if matches!(self.peek().kind, Kind::LeftParen | Kind::By | Kind::Without) =>
            {
                self.within(AGGREGATION, |p| p.aggregation(token, op))
            }
            kind if (kind == Kind::Identifier || kind.is_preprocessor())
                && self.peek().kind == Kind::LeftParen =>
            {
                self.call(token)
            }
            kind if kind.is_metric_name() => match self.take(Kind::LeftBrace) {
                Some(brace) => self.selector_of_braces(brace, Some(token)),
                None => Ok(self.selector_of_name(token)),
            },
            _ => self.unexpected(token),
        }
    }

    /// The value of a number token, or the seconds of a duration token.
    pub(super) fn number_or_duration(&self, token: Token) -> Parsed<f64> {
        let text = self.text(token);
        let result = match token.kind {
            Kind::Duration => duration_ms(text).map(|ms| ms as f64 / 1000.0),
            _ => number(text),
        };
        result.or_else(|message| self.fail(token.span, message))
    }

    pub(super) fn unquoted(&self, token: Token) -> Parsed<Vec<u8>> {
        let text = self.text(token);
        unquote(text).map_or_else(
            || {
                let message = format!("error unquoting string {}: invalid syntax", quote(text));
                self.fail(token.span, message)
            },
            Ok,
        )
    }

    /// The text of a string token. Bytes that are not UTF-8 are in no label.
    pub(super) fn unquoted_text(&self, token: Token) -> Parsed<String> {
        Ok(String::from_utf8_lossy(&self.unquoted(token)?).into_owned())
    }

    fn call(&mut self, name: Token) -> Parsed<Node> {
        let (args, height, close) = self.arguments()?;
        let text = self.text(name);
        let Some(func) = functions::lookup(text) else {
            return self.fail(name.span, format!("unknown function with name {}", quote(text)));
        };
        if func.experimental && !self.options.experimental_functions {
            return self.fail(name.span, format!("function {} is not enabled", quote(text)));
        }
        let span = join(name.span, close);
        let kind = ExprKind::Call(Box::new(Call { func, func_span: name.span, args }));
        self.node(Expr { span, kind }, height)
    }

    /// `(a, b, …)`; returns the arguments, the greatest height, and the last parenthesis.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, u32, Span)> {
        let open = self.expect(Kind::LeftParen)?;
        let mut args = Vec::new();
        let mut height = 0;
        if let Some(close) = self.take(Kind::RightParen) {
            return Ok((args, height, close.span));
        }
        loop {
            let arg = self.nested(open.span, Self::expression)?;
            height = height.max(arg.height);
            args.push(arg.expr);
            let token = self.next();
            match token.kind {
                Kind::RightParen => return Ok((args, height, token.span)),
                Kind::Comma => {
                    let next = self.peek();
                    if !starts_expression(next.kind) && next.kind != Kind::Error {
                        let message = "trailing commas not allowed in function call args";
                        return self.fail(token.span, message);
                    }
                }
                _ => return self.unexpected(token),
            }
        }
    }

    fn aggregation(&mut self, name: Token, op: AggregateOp) -> Parsed<Node> {
        let mut modifier = self.grouping_modifier()?;
        let (mut args, height, close) = self.arguments()?;
        let mut span = join(name.span, close);
        if modifier.is_none() {
            modifier = self.grouping_modifier()?;
            span.end = modifier.as_ref().map_or(span.end, |(.., end)| *end);
        }
        // Only behind `f(…)` alone has the next token been read by now.
        let bare = modifier.is_none();
        let (without, grouping, _) = modifier.unwrap_or_default();
        if bare && self.peek().kind == Kind::Error {
            let token = self.next();
            return self.unexpected(token);
        }
        if args.is_empty() {
            return self.fail(span, "no arguments for aggregate expression provided");
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let message = format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                op.as_str()
            );
            return self.fail(span, message);
        }
        let wanted = 1 + usize::from(op.has_param());
        let got = args.len();
        let (Some(expr), true) = (args.pop(), got == wanted) else {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
            );
            return self.fail(span, message);
        };
        let aggregate = Aggregate { op, param: args.pop(), expr, without, grouping };
        self.node(Expr { span, kind: ExprKind::Aggregate(Box::new(aggregate)) }, height)
    }

    /// `by (…)` or `without (…)`: whether it is `without`, the labels, the end.
    fn grouping_modifier(&mut self) -> Parsed<Option<(bool, Vec<String>, u32)>> {
        let without = match self.peek().kind {
            Kind::By => false,
            Kind::Without => true,
            _ => return Ok(None),
        };
        self.next();
        let (labels, end) = self.grouping_labels()?;
        Ok(Some((without, labels, end)))
    }

    /// `(a, "b", …)`: the labels and where they end.
    fn grouping_labels(&mut self) -> Parsed<(Vec<String>, u32)> {
        let open = self.next();
        if open.kind != Kind::LeftParen {
            return self.unexpected_in(open, GROUPING);
        }
        let mut labels = Vec::new();
        loop {
            let token = self.next();
            let label = match token.kind {
                Kind::RightParen => return Ok((labels, token.span.end)),
                Kind::String => self.unquoted_text(token)?,
                kind if kind.is_grouping_label() => self.text(token).to_owned(),
                _ => return self.unexpected_in(token, GROUPING_LABEL),
            };
            if label.is_empty() {
                return self.fail(token.span, "invalid label name for grouping: \"\"");
            }
            labels.push(label);
            let token = self.next();
            match token.kind {
                Kind::RightParen => return Ok((labels, token.span.end)),
                Kind::Comma => {}
                _ => return self.unexpected_in(token, GROUPING_NEXT),
            }
        }
    }

    /// What may stand between an operator and its right operand.
    fn binary_modifiers(&mut self) -> Parsed<(bool, VectorMatching)> {
        let mut matching = VectorMatching {
            card: Cardinality::OneToOne,
            on: false,
            explicit: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.take(Kind::Bool).is_some();
        if matches!(self.peek().kind, Kind::On | Kind::Ignoring) {
            matching.on = self.next().kind == Kind::On;
            matching.labels = self.grouping_labels()?.0;
            matching.card = match self.peek().kind {
                Kind::GroupLeft => Cardinality::ManyToOne,
                Kind::GroupRight => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.card != Cardinality::OneToOne {
                self.next();
                let next = self.peek();
                if next.kind == Kind::LeftParen {
                    matching.include = self.grouping_labels()?.0;
                } else if !starts_expression(next.kind) {
                    return self.unexpected_in(next, GROUPING);
                }
            }
            matching.explicit = matching.on
                || !matching.labels.is_empty()
                || matching.card != Cardinality::OneToOne;
        }
        match self.peek().kind {
            Kind::Fill => {
                matching.fill_left = Some(self.fill_value()?);
                matching.fill_right = matching.fill_left;
            }
            Kind::FillLeft => {
                matching.fill_left = Some(self.fill_value()?);
                if self.peek().kind == Kind::FillRight {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            Kind::FillRight => {
                matching.fill_right = Some(self.fill_value()?);
                if self.peek().kind == Kind::FillLeft {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok((return_bool, matching))
    }

    /// `fill(x)`, whichever of the three.
    fn fill_value(&mut self) -> Parsed<f64> {
        self.next();
        self.expect(Kind::LeftParen)?;
        let value = self.signed_number()?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }

    /// A number or duration with or without a sign.
    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let mut token = self.next();
        let negative = token.kind == Kind::Op(BinaryOp::Sub);
        if negative || token.kind == Kind::Op(BinaryOp::Add) {
            token = self.next();
        }
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return self.unexpected(token);
        }
        let value = self.number_or_duration(token)?;
        Ok(if negative { -value } else { value })
    }
}

fn starts_expression(kind: Kind) -> bool {
    match kind {
        Kind::Number | Kind::Duration | Kind::String | Kind::LeftParen | Kind::LeftBrace => true,
        Kind::Op(BinaryOp::Add | BinaryOp::Sub) => true,
        kind => kind.is_metric_name(),
    }
}
