//! Why a query was refused, and where: the first error only, with the text
//! and the `line:col` that Prometheus gives.

use std::fmt;

use crate::ast::Span;

/// A query that is not PromQL.
///
/// Displays as `line:col: parse error: message`, both counted from 1, the
/// column in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes of the query that are at fault.
    pub span: Span,
    /// What is wrong, without the position.
    pub message: String,
    line: u32,
    column: u32,
}

impl ParseError {
    /// An error at `span` of `input`.
    pub fn new(input: &str, span: Span, message: impl Into<String>) -> Self {
        // Prometheus gives no position within an empty query: line 0 says so.
        let (line, column) = if input.is_empty() { (0, 0) } else { position(input, span.start) };
        Self { span, message: message.into(), line, column }
    }
}

/// Line and byte column, both from 1, of a byte of `input`.
pub fn position(input: &str, offset: u32) -> (u32, u32) {
    let end = (offset as usize).min(input.len());
    let before = &input.as_bytes()[..end];
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    (line, (end - start) as u32 + 1)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "unknown position: parse error: {}", self.message);
        }
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}
