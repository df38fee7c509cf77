//! What all parts of the parser share: one token of lookahead, the texts of
//! syntax errors, and the limit on nesting.
//!
//! The first error ends the parse, since only the first one is shown.

use super::lex::Lexer;
use super::token::{Kind, Token, describe};
use super::{Options, ParseError};
use crate::ast::{Expr, Span};

/// How deep expressions may nest. Every later pass recurses over the tree, so
/// this is what keeps stacks bounded.
pub(super) const MAX_NESTING: u32 = 128;

/// How high a tree may grow without nesting: a chain of `a + b + c …` is a
/// tree that leans to the left.
pub(super) const MAX_HEIGHT: u32 = 1024;

/// The longest query, in bytes.
pub(super) const MAX_QUERY: usize = 16 << 20;

pub(super) type Parsed<T> = Result<T, ParseError>;

/// What an unexpected token is reported to stand in, and what should stand there.
#[derive(Clone, Copy)]
pub(super) struct Context {
    place: &'static str,
    expected: &'static str,
}

impl Context {
    pub(super) const NONE: Self = Self::new("", "");

    pub(super) const fn new(place: &'static str, expected: &'static str) -> Self {
        Self { place, expected }
    }
}

/// A subtree and its height.
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) height: u32,
}

pub(super) struct Parser<'a> {
    pub(super) input: &'a str,
    pub(super) options: &'a Options,
    lexer: Lexer<'a>,
    ahead: Option<Token>,
    /// The context of the innermost construct that has one.
    pub(super) context: Context,
    /// Where the token taken last ends.
    pub(super) last_end: u32,
    nesting: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a str, options: &'a Options) -> Parsed<Self> {
        if input.len() > MAX_QUERY {
            let message = format!("the query has {} bytes, the limit is {MAX_QUERY}", input.len());
            return Err(ParseError::new(input, Span::default(), message));
        }
        Ok(Self {
            input,
            options,
            lexer: Lexer::new(input),
            ahead: None,
            context: Context::NONE,
            last_end: 0,
            nesting: 0,
        })
    }

    pub(super) fn peek(&mut self) -> Token {
        *self.ahead.get_or_insert_with(|| self.lexer.next_token())
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.ahead = None;
        self.last_end = token.span.end;
        token
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        self.slice(token.span)
    }

    pub(super) fn slice(&self, span: Span) -> &'a str {
        &self.input[span.start as usize..span.end as usize]
    }

    pub(super) fn fail<T>(&self, span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::new(self.input, span, message))
    }

    /// An error that Prometheus finds only after it has read the next token,
    /// so that an error of the lexer there comes first.
    pub(super) fn fail_behind<T>(&mut self, span: Span, message: impl Into<String>) -> Parsed<T> {
        let next = self.peek();
        if next.kind == Kind::Error { self.unexpected(next) } else { self.fail(span, message) }
    }

    /// The error of a token that may not stand where it stands.
    pub(super) fn unexpected<T>(&self, token: Token) -> Parsed<T> {
        self.unexpected_in(token, self.context)
    }

    pub(super) fn unexpected_in<T>(&self, token: Token, context: Context) -> Parsed<T> {
        if token.kind == Kind::Error {
            return self.fail(token.span, self.lexer.message.clone());
        }
        let mut message = format!("unexpected {}", describe(token.kind, self.text(token)));
        if !context.place.is_empty() {
            message.push_str(" in ");
            message.push_str(context.place);
        }
        if !context.expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(context.expected);
        }
        self.fail(token.span, message)
    }

    /// Takes a token of this kind; anything else is unexpected.
    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        let token = self.next();
        if token.kind == kind { Ok(token) } else { self.unexpected(token) }
    }

    /// Takes a token of this kind when it is the next.
    pub(super) fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.next())
    }

    /// Runs `parse` with this context, and sets the one before it back.
    pub(super) fn within<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.context, context);
        let result = parse(self);
        self.context = outer;
        result
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        at: Span,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            let message = format!("expressions nest deeper than the limit of {MAX_NESTING}");
            return self.fail(at, message);
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    /// A node above subtrees of which the highest has this height.
    pub(super) fn node(&self, expr: Expr, below: u32) -> Parsed<Node> {
        if below >= MAX_HEIGHT {
            let message =
                format!("more than {MAX_HEIGHT} operators or modifiers follow each other");
            return self.fail(expr.span, message);
        }
        Ok(Node { expr, height: below + 1 })
    }

    /// The end of the input must come next.
    pub(super) fn finish(&mut self) -> Parsed<()> {
        let token = self.next();
        if token.kind == Kind::Eof { Ok(()) } else { self.unexpected(token) }
    }
}

/// From the start of one to the end of another.
pub(super) fn join(a: Span, b: Span) -> Span {
    Span { start: a.start, end: b.end }
}
