//! Query text to tokens, on demand.
//!
//! What a character means depends on the brackets around it: within `{}`
//! there are no keywords, within `[]` only durations. The lexer keeps that
//! state itself, so that it stops at the same byte as Prometheus' with the
//! same message. Comments and space are skipped.

use super::quote::{quote, quote_rune, unicode_rune};
use super::token::{Kind, Token};
use crate::ast::{BinaryOp, Span};

/// Where the lexer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Outside of braces; within brackets after the first number.
    Statements,
    /// Within brackets, before the first number.
    Duration,
    /// Within `{}`.
    Braces,
    /// Nothing more will come.
    Done,
}

pub(super) struct Lexer<'a> {
    input: &'a str,
    /// Next byte to read.
    pos: usize,
    /// First byte of the token being read.
    start: usize,
    mode: Mode,
    paren_depth: i64,
    bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
    /// Set with the first [`Kind::Error`].
    pub(super) message: String,
}

type Step = Option<Kind>;

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            mode: Mode::Statements,
            paren_depth: 0,
            bracket_open: false,
            got_colon: false,
            got_duration: false,
            message: String::new(),
        }
    }

    /// The next token. After an error or the end, ends.
    pub(super) fn next_token(&mut self) -> Token {
        loop {
            let step = match self.mode {
                Mode::Statements => self.statement(),
                Mode::Duration => self.duration(),
                Mode::Braces => self.braces(),
                Mode::Done => Some(Kind::Eof),
            };
            // `None`: only space or a comment was read.
            let Some(kind) = step else {
                self.start = self.pos;
                continue;
            };
            if matches!(kind, Kind::Error | Kind::Eof) {
                self.mode = Mode::Done;
            }
            // An error stands where its token began.
            let end = if kind == Kind::Error { self.input.len() } else { self.pos };
            let span = Span { start: self.start as u32, end: end as u32 };
            self.start = self.pos;
            return Token { kind, span };
        }
    }

    fn peek(&self) -> Option<char> {
        self.input[self.pos..].chars().next()
    }

    fn peek_byte(&self) -> Option<u8> {
        self.input.as_bytes().get(self.pos).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let hit = self.peek_byte().is_some_and(|b| valid.contains(&b));
        self.pos += usize::from(hit);
        hit
    }

    fn fail(&mut self, message: impl Into<String>) -> Step {
        self.message = message.into();
        Some(Kind::Error)
    }

    /// An error found right after a token was read: it stands behind that.
    fn fail_after(&mut self, message: impl Into<String>) -> Step {
        self.start = self.pos;
        self.fail(message)
    }

    fn comment(&mut self) -> Step {
        let rest = &self.input.as_bytes()[self.pos..];
        self.pos += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        None
    }

    fn space(&mut self) -> Step {
        while self.peek_byte().is_some_and(is_space) {
            self.pos += 1;
        }
        None
    }

    fn statement(&mut self) -> Step {
        let Some(c) = self.bump() else {
            if self.paren_depth != 0 {
                return self.fail("unclosed left parenthesis");
            }
            if self.bracket_open {
                return self.fail("unclosed left bracket");
            }
            return Some(Kind::Eof);
        };
        let op = |op| Some(Kind::Op(op));
        match c {
            '#' => self.comment(),
            ' ' | '\t' | '\n' | '\r' => self.space(),
            ',' => Some(Kind::Comma),
            '*' => op(BinaryOp::Mul),
            '/' => op(BinaryOp::Div),
            '%' => op(BinaryOp::Mod),
            '+' => op(BinaryOp::Add),
            '-' => op(BinaryOp::Sub),
            '^' => op(BinaryOp::Pow),
            '@' => Some(Kind::At),
            '=' => match self.peek() {
                Some('=') => {
                    self.pos += 1;
                    op(BinaryOp::Eq)
                }
                Some('~') => self.fail("unexpected character after '=': '~'"),
                _ => Some(Kind::Eql),
            },
            '!' => match self.bump() {
                Some('=') => op(BinaryOp::Ne),
                other => self.fail(format!("unexpected character after '!': {}", rune(other))),
            },
            '<' if self.accept(b"=") => op(BinaryOp::Le),
            '<' if self.accept(b"/") => op(BinaryOp::TrimUpper),
            '<' => op(BinaryOp::Lt),
            '>' if self.accept(b"=") => op(BinaryOp::Ge),
            '>' if self.accept(b"/") => op(BinaryOp::TrimLower),
            '>' => op(BinaryOp::Gt),
            '0'..='9' => self.number_or_duration(),
            '.' if self.peek_byte().is_some_and(|b| b.is_ascii_digit()) => {
                self.number_or_duration()
            }
            '"' | '\'' => self.string(c),
            '`' => self.raw_string(),
            '(' => {
                self.paren_depth += 1;
                Some(Kind::LeftParen)
            }
            ')' => self.right_paren(),
            '{' => {
                self.mode = Mode::Braces;
                Some(Kind::LeftBrace)
            }
            '[' if self.bracket_open => self.fail("unexpected left bracket '['"),
            '[' => {
                self.got_colon = false;
                self.bracket_open = true;
                self.mode = Mode::Duration;
                Some(Kind::LeftBracket)
            }
            ']' if !self.bracket_open => self.fail("unexpected right bracket ']'"),
            ']' => {
                self.bracket_open = false;
                Some(Kind::RightBracket)
            }
            c if is_alpha(c) || c == ':' => {
                if self.bracket_open {
                    self.word_in_brackets(c)
                } else {
                    Some(self.word())
                }
            }
            c => self.fail(format!("unexpected character: {}", quote_rune(c))),
        }
    }

    fn right_paren(&mut self) -> Step {
        self.paren_depth -= 1;
        if self.paren_depth < 0 {
            return self.fail_after("unexpected right parenthesis ')'");
        }
        Some(Kind::RightParen)
    }

    fn word_in_brackets(&mut self, first: char) -> Step {
        if first == ':' {
            if self.got_colon {
                return self.fail("unexpected colon ':'");
            }
            self.got_colon = true;
            return Some(Kind::Colon);
        }
        if let Some(kind) = self.duration_keyword(first) {
            return Some(kind);
        }
        self.fail(format!("unexpected character: {}, expected ':'", quote_rune(first)))
    }

    /// `step`, `range`, `max_of`, `min_of`; the first letter has been read.
    fn duration_keyword(&mut self, first: char) -> Step {
        if !matches!(first, 's' | 'S' | 'r' | 'R' | 'm' | 'M') {
            return None;
        }
        while self.peek().is_some_and(is_alpha) {
            self.pos += 1;
        }
        let word = &self.input[self.start..self.pos];
        Kind::keyword(word)
            .filter(|k| matches!(k, Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf))
    }

    /// A keyword or identifier whose first letter has been read.
    fn word(&mut self) -> Kind {
        while self.peek_byte().is_some_and(|b| is_word(b) || b == b':') {
            self.pos += 1;
        }
        let word = &self.input[self.start..self.pos];
        match Kind::keyword(word) {
            // These are new: as names they must go on working.
            Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) if !self.paren_follows() => {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        }
    }

    fn paren_follows(&self) -> bool {
        self.input.as_bytes()[self.pos..].iter().find(|b| !is_space(**b)) == Some(&b'(')
    }

    fn braces(&mut self) -> Step {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input inside braces");
        };
        match c {
            '#' => self.comment(),
            ' ' | '\t' | '\n' | '\r' => self.space(),
            ',' => Some(Kind::Comma),
            '"' | '\'' => self.string(c),
            '`' => self.raw_string(),
            '=' if self.accept(b"~") => Some(Kind::EqlRegex),
            '=' => Some(Kind::Eql),
            '!' => match self.bump() {
                Some('~') => Some(Kind::NeqRegex),
                Some('=') => Some(Kind::Op(BinaryOp::Ne)),
                other => self
                    .fail(format!("unexpected character after '!' inside braces: {}", rune(other))),
            },
            '{' => self.fail("unexpected left brace '{'"),
            '}' => {
                self.mode = Mode::Statements;
                Some(Kind::RightBrace)
            }
            c if is_alpha(c) => {
                while self.peek_byte().is_some_and(is_word) {
                    self.pos += 1;
                }
                Some(Kind::Identifier)
            }
            c => self.fail(format!("unexpected character inside braces: {}", quote_rune(c))),
        }
    }

    fn duration(&mut self) -> Step {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input in duration expression");
        };
        let op = |op| Some(Kind::Op(op));
        match c {
            ' ' | '\t' | '\n' | '\r' => self.space(),
            ']' => {
                self.bracket_open = false;
                self.got_colon = false;
                self.mode = Mode::Statements;
                Some(Kind::RightBracket)
            }
            ':' if !self.got_duration => {
                self.fail_after("unexpected colon before duration in duration expression")
            }
            ':' if self.got_colon => {
                self.fail_after("unexpected repeated colon in duration expression")
            }
            ':' => {
                self.got_colon = true;
                Some(Kind::Colon)
            }
            '(' => {
                self.paren_depth += 1;
                Some(Kind::LeftParen)
            }
            ')' => self.right_paren(),
            '+' => op(BinaryOp::Add),
            '-' => op(BinaryOp::Sub),
            '*' => op(BinaryOp::Mul),
            '/' => op(BinaryOp::Div),
            '%' => op(BinaryOp::Mod),
            '^' => op(BinaryOp::Pow),
            ',' => Some(Kind::Comma),
            '0'..='9' => self.number_in_duration(),
            '.' if self.peek_byte().is_some_and(|b| b.is_ascii_digit()) => {
                self.number_in_duration()
            }
            c => match self.duration_keyword(c) {
                Some(kind) => Some(kind),
                None => self.fail(format!(
                    "unexpected character in duration expression: {}",
                    quote_rune(c)
                )),
            },
        }
    }

    fn number_in_duration(&mut self) -> Step {
        self.got_duration = true;
        self.mode = Mode::Statements;
        self.number_or_duration()
    }

    /// A number or duration whose first character has been read.
    fn number_or_duration(&mut self) -> Step {
        self.pos = self.start;
        if self.scan_number() {
            return Some(Kind::Number);
        }
        if self.scan_duration_rest() {
            return Some(Kind::Duration);
        }
        let text = quote(&self.input[self.start..self.pos]);
        self.fail(format!("bad number or duration syntax: {text}"))
    }

    /// Units and further digits after the first digits of a duration.
    fn scan_duration_rest(&mut self) -> bool {
        const DIGITS: &[u8] = b"0123456789";
        if !self.accept(b"smhdwy") {
            return false;
        }
        self.accept(b"s");
        while self.accept(DIGITS) {
            while self.accept(DIGITS) {}
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        if self.peek_byte().is_some_and(is_word) {
            self.pos += 1;
            return false;
        }
        true
    }

    /// Takes what looks like a number; whether it is one is found out later.
    /// On failure the bad character has been read, because errors show it.
    fn scan_number(&mut self) -> bool {
        let mut digits: &[u8] = b"0123456789";
        if self.accept(b"0") && self.accept(b"xX") {
            self.accept(b"_");
            digits = b"0123456789abcdefABCDEF";
        }
        let hex = digits.len() > 10;
        self.accept(b".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(b) = self.peek_byte() {
            match b {
                b'.' => {
                    self.pos += 1;
                    if dot || self.accept(b"_.") || hex {
                        return false;
                    }
                    dot = true;
                }
                b'e' | b'E' => {
                    self.pos += 1;
                    if exponent {
                        return false;
                    }
                    exponent = true;
                    self.accept(b"+-");
                    if self.accept(b"._eE") || self.pos == self.input.len() {
                        return false;
                    }
                }
                b'_' => {
                    self.pos += 1;
                    if self.accept(b"._eE") || self.pos == self.input.len() {
                        return false;
                    }
                }
                b if digits.contains(&b) => while self.accept(digits) {},
                _ => break,
            }
        }
        !self.peek_byte().is_some_and(is_word)
    }

    /// A quoted string whose opening quote has been read.
    fn string(&mut self, open: char) -> Step {
        loop {
            match self.bump() {
                Some('\\') => {
                    if let Err(message) = self.escape(open) {
                        return self.fail(message);
                    }
                }
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                None | Some('\n') => return self.fail("unterminated quoted string"),
                Some(c) if c == open => return Some(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Step {
        loop {
            match self.bump() {
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                None => return self.fail("unterminated raw string"),
                Some('`') => return Some(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape sequence whose backslash has been read.
    fn escape(&mut self, open: char) -> Result<(), String> {
        let not_terminated = || "escape sequence not terminated".to_owned();
        let first = self.bump().ok_or_else(not_terminated)?;
        let (digits, base, max, mut next) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == open => return Ok(()),
            '0'..='7' => (3, 8, 255, Some(first)),
            'x' => (2, 16, 255, self.bump()),
            'u' => (4, 16, u64::from(u32::from(char::MAX)), self.bump()),
            'U' => (8, 16, u64::from(u32::from(char::MAX)), self.bump()),
            c => return Err(format!("unknown escape sequence {}", unicode_rune(c))),
        };
        let mut value = 0_u64;
        for left in (0..digits).rev() {
            let c = next.ok_or_else(not_terminated)?;
            let digit = c.to_digit(base).ok_or_else(|| {
                format!("illegal character {} in escape sequence", unicode_rune(c))
            })?;
            value = value * u64::from(base) + u64::from(digit);
            if left > 0 {
                next = self.bump();
            }
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_word(b: u8) -> bool {
    b == b'_' || b.is_ascii_alphanumeric()
}

/// Go's `%q` of what may be the end of the input.
fn rune(c: Option<char>) -> String {
    c.map_or_else(|| "'\u{fffd}'".to_owned(), quote_rune)
}
