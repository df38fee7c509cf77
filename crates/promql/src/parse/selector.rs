//! Vector selectors: `name{label="value", …}`, and the entry for `match[]`.

use varve_model::{METRIC_NAME, MatchOp, Matcher};

use super::parser::{Context, Node, Parsed, Parser, join};
use super::token::{Kind, Token};
use crate::ast::{BinaryOp, Expr, ExprKind, Shift, Span, VectorSelector};

const MATCHER: Context = Context::new("label matching", "identifier or \"}\"");
const MATCHER_OP: Context = Context::new("label matching", "label matching operator");
const MATCHER_VALUE: Context = Context::new("label matching", "string");
const MATCHER_NEXT: Context = Context::new("label matching", "\",\" or \"}\"");

fn selector(span: Span, name: &str, mut matchers: Vec<Matcher>) -> Node {
    if !name.is_empty() {
        matchers.push(Matcher::equal(METRIC_NAME, name));
    }
    let selector = VectorSelector {
        name: name.to_owned(),
        matchers,
        shift: Shift::default(),
        extended: None,
        allows_empty_matchers: false,
    };
    Node { expr: Expr { span, kind: ExprKind::Selector(Box::new(selector)) }, height: 1 }
}

impl Parser<'_> {
    /// `name` alone.
    pub(super) fn selector_of_name(&self, name: Token) -> Node {
        selector(name.span, self.text(name), Vec::new())
    }

    /// `{…}`, whose left brace has been read, after a name or none.
    pub(super) fn selector_of_braces(&mut self, brace: Token, name: Option<Token>) -> Parsed<Node> {
        let (matchers, end) = self.matchers()?;
        let start = name.unwrap_or(brace).span.start;
        let name = name.map_or("", |n| self.text(n));
        Ok(selector(Span { start, end }, name, matchers))
    }

    fn matchers(&mut self) -> Parsed<(Vec<Matcher>, u32)> {
        let mut matchers = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                // A comma may stand after the last matcher.
                Kind::RightBrace => return Ok((matchers, token.span.end)),
                Kind::Identifier | Kind::String => matchers.push(self.matcher(token)?),
                _ => return self.unexpected_in(token, MATCHER),
            }
            let token = self.next();
            match token.kind {
                Kind::RightBrace => return Ok((matchers, token.span.end)),
                Kind::Comma => {}
                _ => return self.unexpected_in(token, MATCHER_NEXT),
            }
        }
    }

    /// `label="value"`, or a quoted metric name.
    fn matcher(&mut self, label: Token) -> Parsed<Matcher> {
        let quoted = label.kind == Kind::String;
        let name = if quoted { self.unquoted_text(label)? } else { self.text(label).to_owned() };
        let op = match self.peek().kind {
            Kind::Eql => MatchOp::Equal,
            Kind::Op(BinaryOp::Ne) => MatchOp::NotEqual,
            Kind::EqlRegex => MatchOp::Regex,
            Kind::NeqRegex => MatchOp::NotRegex,
            // Whatever follows is for the list to judge.
            _ if quoted => return Ok(Matcher::equal(METRIC_NAME, &name)),
            _ => {
                let token = self.next();
                return self.unexpected_in(token, MATCHER_OP);
            }
        };
        self.next();
        let value = self.next();
        if value.kind != Kind::String {
            return self.unexpected_in(value, MATCHER_VALUE);
        }
        let text = self.unquoted_text(value)?;
        Matcher::new(op, &name, &text)
            .or_else(|e| self.fail(join(label.span, value.span), e.to_string()))
    }

    /// One vector selector and nothing else.
    pub(super) fn metric_selector(&mut self) -> Parsed<Vec<Matcher>> {
        let token = self.next();
        let node = match token.kind {
            Kind::LeftBrace => self.selector_of_braces(token, None)?,
            kind if kind.is_metric_name() => match self.take(Kind::LeftBrace) {
                Some(brace) => self.selector_of_braces(brace, Some(token))?,
                None => self.selector_of_name(token),
            },
            _ => return self.unexpected(token),
        };
        self.finish()?;
        match node.expr.kind {
            ExprKind::Selector(s) => Ok(s.matchers),
            _ => Ok(Vec::new()),
        }
    }
}
