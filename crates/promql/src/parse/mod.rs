//! From query text to the syntax tree of [`crate::ast`].
//!
//! A hand-written lexer and a precedence-climbing parser with a depth limit,
//! so that no input overflows the stack. Types are checked after parsing.
//! Texts and positions of errors are those of Prometheus 3.15.

mod check;
mod duration;
mod error;
mod expr;
mod lex;
mod modifier;
mod number;
mod parser;
mod quote;
mod selector;
mod series;
mod token;

#[cfg(test)]
mod tests;

pub use error::{ParseError, position};
pub use quote::{quote, quote_bytes};
pub use series::{SequenceValue, parse_metric, parse_series_desc};

pub(crate) use number::format_duration_ms;

use varve_model::Matcher;

use crate::ast::Expr;

/// Which parts of the language are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Functions and aggregations that are experimental (off).
    pub experimental_functions: bool,
    /// Arithmetic, `step()` and the like where a duration stands (on).
    pub duration_expr: bool,
    /// `anchored` and `smoothed` (off).
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right` (off).
    pub binop_fill: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expr: true,
            extended_range_selectors: false,
            binop_fill: false,
        }
    }
}

impl Options {
    /// Everything allowed.
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            duration_expr: true,
            extended_range_selectors: true,
            binop_fill: true,
        }
    }
}

/// Parses and type-checks an expression.
///
/// Takes time linear in the length of `input`. Nesting deeper than 128 and
/// chains of more than 1024 operators are refused, so that the tree can be
/// walked recursively.
///
/// # Errors
/// The first error, as Prometheus words it.
pub fn parse_expr(input: &str, options: &Options) -> Result<Expr, ParseError> {
    let mut parser = parser::Parser::new(input, options)?;
    if parser.peek().kind == token::Kind::Eof {
        return parser.fail(crate::ast::Span::default(), "no expression found in input");
    }
    let mut expr = parser.expression()?.expr;
    parser.finish()?;
    check::Checker { input }.check(&mut expr)?;
    Ok(expr)
}

/// Parses the selector of a `match[]` parameter. It may take everything;
/// whoever must not allow that has to check the matchers.
///
/// # Errors
/// When it is anything else than one vector selector without modifiers.
pub fn parse_metric_selector(input: &str) -> Result<Vec<Matcher>, ParseError> {
    parser::Parser::new(input, &Options::default())?.metric_selector()
}

/// Reads a Prometheus duration (`1h30m`, `0`) into milliseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    number::duration_ms(text).ok()
}
