//! Series as test scripts describe them: `metric{a="b"} 1 2 _ _x3 4+2x5 stale
//! {{schema:1 sum:3 count:2 buckets:[1 1]}}x2`.
//!
//! Source of the language: Prometheus' unit tests of rules ("series"). A
//! repetition `x n` of a value gives n + 1 values, one of `_` gives n.

mod histogram;

use varve_model::{Histogram, Labels, METRIC_NAME, stale_nan};

use super::number::number;
use super::parser::{Context, Parsed, Parser};
use super::token::Kind;
use super::{Options, ParseError};
use crate::ast::Span;

const LABEL: Context = Context::new("label set", "identifier or \"}\"");
const LABEL_EQUAL: Context = Context::new("label set", "\"=\"");
const LABEL_VALUE: Context = Context::new("label set", "string");
const LABEL_NEXT: Context = Context::new("label set", "\",\" or \"}\"");

/// The most values that one description may give.
const MAX_VALUES: u64 = 1 << 20;

/// One place in a described series.
#[derive(Clone, Debug)]
pub enum SequenceValue {
    /// `_`: no sample.
    Omitted,
    /// A number; `stale` is the stale marker.
    Float(f64),
    /// `{{…}}`, with float counts.
    Histogram {
        /// The histogram.
        histogram: Box<Histogram>,
        /// Whether `counter_reset_hint` was written: only then is it compared.
        hint_set: bool,
    },
}

/// Reads a metric and the values behind it.
///
/// # Errors
/// The first place where the text is not a description, or when it would give
/// more than a million values.
pub fn parse_series_desc(input: &str) -> Result<(Labels, Vec<SequenceValue>), ParseError> {
    let options = Options::all();
    let mut parser = Parser::new(input, &options)?;
    let (labels, end) = parser.metric()?;
    let mut scanner = Scanner { input, pos: end };
    Ok((labels, scanner.values()?))
}

/// Reads a metric: `name{label="value"}`.
///
/// # Errors
/// When it is anything else.
pub fn parse_metric(input: &str) -> Result<Labels, ParseError> {
    let options = Options::all();
    let mut parser = Parser::new(input, &options)?;
    let (labels, end) = parser.metric()?;
    if input[end..].trim().is_empty() {
        return Ok(labels);
    }
    let span = Span { start: end as u32, end: input.len() as u32 };
    Err(ParseError::new(input, span, "unexpected text behind the metric"))
}

impl Parser<'_> {
    /// A name and a label set, and where they end. Nothing behind is read.
    fn metric(&mut self) -> Parsed<(Labels, usize)> {
        let mut pairs = Vec::new();
        let mut end = 0;
        // Values begin behind the first space: the lexer must not read them.
        let first = self.input.bytes().next();
        if first != Some(b'{') {
            let token = self.next();
            if !token.kind.is_metric_name() {
                return self.unexpected(token);
            }
            pairs.push((METRIC_NAME.to_owned(), self.text(token).to_owned()));
            end = token.span.end as usize;
        }
        if self.input.as_bytes().get(end) == Some(&b'{') {
            self.next();
            end = self.label_set(&mut pairs)?;
        }
        // The name in front of the braces wins over one within.
        let named_outside = first != Some(b'{');
        if named_outside {
            let mut first = true;
            pairs.retain(|(n, _)| n != METRIC_NAME || std::mem::take(&mut first));
        }
        Labels::from_pairs(pairs)
            .map(|labels| (labels, end))
            .or_else(|e| self.fail(Span { start: 0, end: end as u32 }, e.to_string()))
    }

    fn label_set(&mut self, pairs: &mut Vec<(String, String)>) -> Parsed<usize> {
        loop {
            let token = self.next();
            let name = match token.kind {
                Kind::RightBrace => return Ok(token.span.end as usize),
                Kind::Identifier => self.text(token).to_owned(),
                Kind::String => self.unquoted_text(token)?,
                _ => return self.unexpected_in(token, LABEL),
            };
            let next = self.next();
            match next.kind {
                Kind::Eql => {
                    let value = self.next();
                    if value.kind != Kind::String {
                        return self.unexpected_in(value, LABEL_VALUE);
                    }
                    pairs.push((name, self.unquoted_text(value)?));
                    let next = self.next();
                    match next.kind {
                        Kind::RightBrace => return Ok(next.span.end as usize),
                        Kind::Comma => {}
                        _ => return self.unexpected_in(next, LABEL_NEXT),
                    }
                }
                // A quoted name alone is the metric's.
                Kind::RightBrace if token.kind == Kind::String => {
                    pairs.push((METRIC_NAME.to_owned(), name));
                    return Ok(next.span.end as usize);
                }
                Kind::Comma if token.kind == Kind::String => {
                    pairs.push((METRIC_NAME.to_owned(), name));
                }
                _ => return self.unexpected_in(next, LABEL_EQUAL),
            }
        }
    }
}

/// Reads the values.
struct Scanner<'a> {
    input: &'a str,
    pos: usize,
}

impl<'a> Scanner<'a> {
    fn fail<T>(&self, start: usize, message: impl Into<String>) -> Parsed<T> {
        let span = Span { start: start as u32, end: self.input.len() as u32 };
        Err(ParseError::new(self.input, span, message))
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<u8> {
        self.input.as_bytes().get(self.pos).copied()
    }

    fn take(&mut self, text: &str) -> bool {
        let hit = self.rest().starts_with(text);
        self.pos += if hit { text.len() } else { 0 };
        hit
    }

    fn spaces(&mut self) -> bool {
        let before = self.pos;
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.pos += 1;
        }
        self.pos > before
    }

    fn values(&mut self) -> Parsed<Vec<SequenceValue>> {
        let mut values = Vec::new();
        loop {
            let spaced = self.spaces();
            let Some(b) = self.peek() else { return Ok(values) };
            let start = self.pos;
            if !spaced {
                return self.unexpected(start);
            }
            match b {
                b'_' => {
                    self.pos += 1;
                    let count = self.times()?.unwrap_or(1);
                    self.room(start, &values, count)?;
                    values.extend((0..count).map(|_| SequenceValue::Omitted));
                }
                b'{' => self.histograms(&mut values)?,
                _ => self.floats(&mut values)?,
            }
        }
    }

    fn unexpected<T>(&self, start: usize) -> Parsed<T> {
        let shown: String = self.input[start..].chars().take(10).collect();
        self.fail(start, format!("unexpected {} in series values", super::quote(&shown)))
    }

    /// Whether `count` more values may be added.
    fn room(&self, start: usize, values: &[SequenceValue], count: u64) -> Parsed<()> {
        if values.len() as u64 + count > MAX_VALUES {
            let message = format!("series has more values than the limit of {MAX_VALUES}");
            return self.fail(start, message);
        }
        Ok(())
    }

    /// `x n`
    fn times(&mut self) -> Parsed<Option<u64>> {
        if !self.take("x") {
            return Ok(None);
        }
        let start = self.pos;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.pos += 1;
        }
        let digits = &self.input[start..self.pos];
        digits
            .parse()
            .map(Some)
            .or_else(|e| self.fail(start, format!("invalid repetition in series values: {e}")))
    }

    fn floats(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let start = self.pos;
        let mut value = match self.word() {
            Some("stale") => stale_nan(),
            Some(_) => return self.unexpected(start),
            None => self.signed(start)?,
        };
        let step = match self.peek() {
            Some(b'+' | b'-') => Some(self.signed(start)?),
            _ => None,
        };
        let times = self.times()?;
        if step.is_some() && times.is_none() {
            return self.unexpected(self.pos.min(self.input.len()));
        }
        let count = times.map_or(1, |n| n.saturating_add(1));
        self.room(start, values, count)?;
        for _ in 0..count {
            values.push(SequenceValue::Float(value));
            value += step.unwrap_or(0.0);
        }
        Ok(())
    }

    /// A word that is no number.
    fn word(&mut self) -> Option<&'a str> {
        let end = self.rest().find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
        let word = &self.rest()[..end.unwrap_or(self.rest().len())];
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
            && !word.eq_ignore_ascii_case("inf")
            && !word.eq_ignore_ascii_case("nan");
        self.pos += if is_word { word.len() } else { 0 };
        is_word.then_some(word)
    }

    /// A number with or without a sign; the error stands at `start`.
    fn signed(&mut self, start: usize) -> Parsed<f64> {
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let value = self.unsigned(start)?;
        Ok(if negative { -value } else { value })
    }

    fn unsigned(&mut self, start: usize) -> Parsed<f64> {
        let from = self.pos;
        if self.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
            while self.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
                self.pos += 1;
            }
        } else {
            while let Some(b) = self.peek() {
                let exponent_sign = matches!(b, b'+' | b'-')
                    && self.pos > from
                    && matches!(self.input.as_bytes()[self.pos - 1], b'e' | b'E');
                if !(b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'e' | b'E') || exponent_sign)
                {
                    break;
                }
                self.pos += 1;
            }
        }
        let text = &self.input[from..self.pos];
        if text.is_empty() {
            return self.unexpected(start);
        }
        number(text).or_else(|message| self.fail(from, message))
    }
}
