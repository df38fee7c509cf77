//! The language: no text panics or overflows the stack, and what parses is
//! printed, in one line and in many, as a text that parses to the same.

use varve_promql::parse::{
    Options, parse_expr, parse_metric, parse_metric_selector, parse_series_desc,
};
use varve_promql::print::pretty;

/// A query, a selector, a series.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let options = Options::all();
    if let Ok(expr) = parse_expr(text, &options) {
        let printed = expr.to_string();
        for again in [&printed, &pretty(&expr)] {
            let again = parse_expr(again, &options).expect("what was printed parses");
            assert_eq!(again.to_string(), printed);
        }
    }
    let _ = parse_expr(text, &Options::default());
    let _ = parse_metric_selector(text);
    let _ = parse_metric(text);
    let _ = parse_series_desc(text);
}

/// A pattern, and what it is matched with after a line break. A pattern that
/// is taken has an answer for every text.
pub fn regex(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, value) = text.split_once('\n').unwrap_or((text, ""));
    let make = |op| varve_model::Matcher::new(op, "a", pattern);
    let (yes, no) = (make(varve_model::MatchOp::Regex), make(varve_model::MatchOp::NotRegex));
    assert_eq!(yes.is_ok(), no.is_ok());
    if let (Ok(yes), Ok(no)) = (yes, no) {
        assert_ne!(yes.matches(value), no.matches(value));
        // The shapes that need no engine agree with the engine.
        let engine = varve_model::compile_regex(pattern).expect("a matcher took the pattern");
        assert_eq!(yes.matches(value), engine.is_match(value));
    }
}
