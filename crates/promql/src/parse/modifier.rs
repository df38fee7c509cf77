//! What may stand behind an operand: `[range]`, `[range:step]`, `offset`,
//! `@`, `anchored`, `smoothed`.

use super::parser::{Context, Node, Parsed, Parser, join};
use super::token::{Kind, Token};
use crate::ast::{
    At, DurationKind, Expr, ExprKind, Extended, RangeSelector, Shift, Span, Subquery,
};

const RANGE: Context =
    Context::new("subquery or range selector", "number, duration, step(), or range()");
const RANGE_NEXT: Context = Context::new("subquery or range", "\":\" or \"]\"");
const STEP: Context =
    Context::new("subquery selector", "number, duration, step(), range(), or \"]\"");
const STEP_NEXT: Context = Context::new("subquery selector", "\"]\"");
const OFFSET: Context = Context::new("offset", "number, duration, step(), or range()");
const AT: Context = Context::new("@", "timestamp");

impl Parser<'_> {
    /// Takes all modifiers behind `node`.
    pub(super) fn modifiers(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            let token = self.peek();
            match token.kind {
                Kind::LeftBracket => node = self.brackets(node)?,
                Kind::Offset => self.offset(&mut node.expr)?,
                Kind::At => self.at(&mut node.expr)?,
                Kind::Anchored => self.extended(&mut node.expr, Extended::Anchored)?,
                Kind::Smoothed => self.extended(&mut node.expr, Extended::Smoothed)?,
                _ => return Ok(node),
            }
        }
    }

    fn brackets(&mut self, node: Node) -> Parsed<Node> {
        let open = self.next();
        let range = self.within(RANGE, Self::positive_duration)?;
        let token = self.next();
        match token.kind {
            Kind::RightBracket => self.range_selector(node, open, range, token),
            Kind::Colon => {
                let step = match self.peek().kind {
                    Kind::RightBracket => None,
                    _ => Some(self.within(STEP, Self::positive_duration)?),
                };
                let close = self.next();
                if close.kind != Kind::RightBracket {
                    return self.unexpected_in(close, STEP_NEXT);
                }
                let span = join(node.expr.span, close.span);
                let subquery = Subquery { expr: node.expr, range, step, shift: Shift::default() };
                let kind = ExprKind::Subquery(Box::new(subquery));
                self.node(Expr { span, kind }, node.height)
            }
            _ => self.unexpected_in(token, RANGE_NEXT),
        }
    }

    fn range_selector(
        &mut self,
        node: Node,
        open: Token,
        range: crate::ast::DurationExpr,
        close: Token,
    ) -> Parsed<Node> {
        let brackets = join(open.span, close.span);
        let ExprKind::Selector(selector) = node.expr.kind else {
            return self.fail(brackets, "ranges only allowed for vector selectors");
        };
        if selector.shift.offset.is_some() {
            return self.fail(brackets, "no offset modifiers allowed before range");
        }
        if selector.shift.at.is_some() {
            return self.fail(brackets, "no @ modifiers allowed before range");
        }
        let selector_span = node.expr.span;
        let span = join(selector_span, close.span);
        let range = RangeSelector { selector: *selector, selector_span, range };
        self.node(Expr { span, kind: ExprKind::Range(Box::new(range)) }, node.height)
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let offset = self.within(OFFSET, Self::offset_duration)?;
        let span = expr.span;
        let Some(shift) = shift_of(expr) else {
            return self.fail(
                span,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if shift.offset.is_some() {
            return self.fail(span, "offset may not be set multiple times");
        }
        expr.span.end = offset.span.end;
        // An offset of zero is none.
        let zero = matches!(offset.kind, DurationKind::Literal { seconds, .. }
            if (seconds * 1e9).round() == 0.0);
        if !zero && let Some(shift) = shift_of(expr) {
            shift.offset = Some(offset);
        }
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let span = expr.span;
        let (at, end) = self.within(AT, |p| p.at_time(span))?;
        let Some(shift) = shift_of(expr) else {
            return self.fail(
                span,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if shift.at.is_some() {
            return self.fail(span, "@ <timestamp> may not be set multiple times");
        }
        shift.at = Some(at);
        expr.span.end = end;
        Ok(())
    }

    /// What stands behind `@`; errors about its value stand at `operand`.
    fn at_time(&mut self, operand: Span) -> Parsed<(At, u32)> {
        let at = match self.peek().kind {
            Kind::Start => At::Start,
            Kind::End => At::End,
            _ => {
                let seconds = self.signed_number()?;
                // Also false for NaN.
                let inside = seconds.abs() < i64::MAX as f64;
                if !inside {
                    let shown = match seconds {
                        s if s.is_nan() => "NaN".to_owned(),
                        f64::INFINITY => "+Inf".to_owned(),
                        f64::NEG_INFINITY => "-Inf".to_owned(),
                        s => format!("{s:.6}"),
                    };
                    let message = format!("timestamp out of bounds for @ modifier: {shown}");
                    return self.fail(operand, message);
                }
                return Ok((At::Time((seconds * 1000.0).round() as i64), self.last_end));
            }
        };
        self.next();
        self.expect(Kind::LeftParen)?;
        let close = self.expect(Kind::RightParen)?;
        Ok((at, close.span.end))
    }

    fn extended(&mut self, expr: &mut Expr, extended: Extended) -> Parsed<()> {
        self.next();
        let name = match extended {
            Extended::Anchored => "anchored",
            Extended::Smoothed => "smoothed",
        };
        let span = expr.span;
        if !self.options.extended_range_selectors {
            let message = format!("{name} modifier is experimental and not enabled");
            return self.fail(span, message);
        }
        let place = match &mut expr.kind {
            ExprKind::Selector(s) => &mut s.extended,
            ExprKind::Range(r) => &mut r.selector.extended,
            ExprKind::Subquery(_) => {
                return self.fail(span, format!("{name} modifier is not supported for subqueries"));
            }
            _ => return self.fail(span, format!("{name} modifier not implemented")),
        };
        if place.is_some_and(|other| other != extended) {
            return self.fail(span, "anchored and smoothed modifiers cannot be used together");
        }
        *place = Some(extended);
        Ok(())
    }
}

/// Where the `offset` and `@` of an expression stand, when it can have them.
fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match &mut expr.kind {
        ExprKind::Selector(s) => Some(&mut s.shift),
        ExprKind::Range(r) => Some(&mut r.selector.shift),
        ExprKind::Subquery(s) => Some(&mut s.shift),
        _ => None,
    }
}
