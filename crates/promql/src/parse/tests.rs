//! What is taken and what is refused. Positions and texts of errors were
//! compared with those of the Go parser of Prometheus 3.15.

mod refused;
mod scripts;
mod series;

use std::time::Instant;

use proptest::prelude::*;

use super::{Options, parse_duration, parse_expr, parse_metric_selector};
use crate::print::pretty;

fn parse(query: &str) -> Result<crate::ast::Expr, super::ParseError> {
    parse_expr(query, &Options::all())
}

/// Parses, prints as `want`, and what is printed prints the same again.
fn check_print(query: &str, want: &str) {
    let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    assert_eq!(expr.to_string(), want, "{query}");
    let again = parse(want).unwrap_or_else(|e| panic!("{want}: {e}"));
    assert_eq!(again.to_string(), want, "{want}");
}

#[test]
fn queries_are_grouped_by_precedence_and_printed_like_prometheus() {
    let cases = [
        // The printed form shows no grouping, so what matters is in parentheses here.
        ("-1^2", "-1 ^ 2"),
        ("1+2*3 ^ 2", "1 + 2 * 3 ^ 2"),
        ("0x1F+1_000+0755+.5e1", "31 + 1000 + 493 + 5"),
        ("+Inf - inf % NaN", "+Inf - +Inf % NaN"),
        ("90m * 2", "1h30m * 2"),
        ("foo { b = 'x' , a!=\"\" }", "foo{a!=\"\",b=\"x\"}"),
        ("{\"a.b\", 'c d'=~`\\d+`}", "{\"c d\"=~\"\\\\d+\",__name__=\"a.b\"}"),
        ("sum without()(foo)", "sum without () (foo)"),
        ("sum(foo)by(a,\"b.c\")", "sum by (a, \"b.c\") (foo)"),
        ("sum by () (foo)", "sum(foo)"),
        ("topk(3,foo)", "topk(3, foo)"),
        ("a+on(x)group_left b", "a + on (x) group_left () b"),
        ("a+ignoring()b", "a + b"),
        ("a==bool fill(1m)b", "a == bool fill (60) b"),
        ("a+fill_right(-2)fill_left(0)b", "a + fill_left (0) fill_right (-2) b"),
        ("foo[5m:]offset -1h@start()", "foo[5m:] @ start() offset -1h"),
        ("foo[300]@1.2345 offset 90", "foo[5m] @ 1.235 offset 1m30s"),
        ("foo offset (5m+step())", "foo offset (5m + step())"),
        ("foo offset 5m + bar", "foo offset 5m + bar"),
        ("foo offset -2^2", "foo offset -2s ^ 2"),
        ("foo[((1m))]", "foo[(1m)]"),
        ("foo[-step()+min_of(1m, 30)*2]", "foo[-step() + min_of(1m, 30) * 2]"),
        ("foo[1h] smoothed", "foo[1h] smoothed"),
        ("foo anchored", "foo anchored"),
        ("foo offset 0s", "foo"),
        ("foo </ 5 >/ bar", "foo </ 5 >/ bar"),
        ("sum + by + or + start", "sum + by + or + start"),
        ("fill + fill_left", "fill + fill_left"),
        ("info(foo, {data=~\".*\"})", "info(foo, {data=~\".*\"})"),
        ("foo # comment\n + bar", "foo + bar"),
        ("\"\\xff\\u00e9\"", "\"\\xffé\""),
        ("- - -foo", "---foo"),
        ("max_of(step(), 1)", "max_of(step(), 1)"),
        ("Inf^foo", "Inf ^ foo"),
    ];
    for (query, want) in cases {
        check_print(query, want);
    }
}

#[test]
fn operators_group_as_prometheus_says() {
    let cases = [
        ("-foo ^ 2", "-(foo ^ 2)"),
        ("-foo * 2", "(-foo) * 2"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("a ^ -b * c", "(a ^ (-b)) * c"),
        ("a - b - c", "(a - b) - c"),
        ("a or b and c", "a or (b and c)"),
        ("a and b unless c", "(a and b) unless c"),
        ("a == b and c", "(a == b) and c"),
        ("a + b == c", "(a + b) == c"),
        ("a </ b + c", "a </ (b + c)"),
        ("a * b atan2 c", "(a * b) atan2 c"),
        ("a ^ b offset 5m", "a ^ (b offset 5m)"),
    ];
    /// The expression without its parentheses.
    fn bare(expr: &crate::ast::Expr) -> String {
        use crate::ast::ExprKind as K;
        match &expr.kind {
            K::Paren(e) => bare(e),
            K::Binary(b) => format!("[{} {} {}]", bare(&b.lhs), b.op.as_str(), bare(&b.rhs)),
            K::Unary(_, e) => format!("[-{}]", bare(e)),
            _ => expr.to_string(),
        }
    }
    for (plain, grouped) in cases {
        let shape = |q: &str| parse(q).map(|e| bare(&e)).map_err(|e| e.to_string());
        assert_eq!(shape(plain), shape(grouped), "{plain}");
    }
}

#[test]
fn features_are_off_unless_asked_for() {
    let cases = [
        (
            "limitk(1, foo)",
            "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("step()", "1:1: parse error: function \"step\" is not enabled"),
        ("foo anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
        (
            "a + fill(1) b",
            "1:1: parse error: binop fill modifiers are experimental and not enabled",
        ),
    ];
    for (query, want) in cases {
        let got = parse_expr(query, &Options::default()).map_err(|e| e.to_string());
        assert_eq!(got.err().as_deref(), Some(want), "{query}");
        assert!(parse(query).is_ok(), "{query}");
    }
    assert!(parse_expr("foo[5m+1m]", &Options::default()).is_ok());
    let off = Options { duration_expr: false, ..Options::all() };
    let got = parse_expr("foo[5m+1m]", &off).map_err(|e| e.to_string());
    assert_eq!(
        got.err().as_deref(),
        Some("1:5: parse error: experimental duration expression is not enabled")
    );
}

#[test]
fn selectors_of_match_parameters() {
    for (input, want) in [("up", 1), ("{a=\"b\"}", 1), ("up{a=\"b\",}", 2), ("{}", 0)] {
        assert_eq!(parse_metric_selector(input).map(|m| m.len()), Ok(want), "{input}");
    }
    for input in ["", "up + 1", "up[5m]", "sum(up)", "1", "up offset 5m", "{a}"] {
        assert!(parse_metric_selector(input).is_err(), "{input}");
    }
}

#[test]
fn durations() {
    assert_eq!(parse_duration("1h30m"), Some(5_400_000));
    assert_eq!(parse_duration("0"), Some(0));
    assert_eq!(parse_duration("-5m"), None);
    assert_eq!(parse_duration("5"), None);
}

#[test]
fn long_queries_are_broken_into_lines() {
    let long = "sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=\"\",image!=\"\"}[5m])) / scalar(foo)";
    let want = "  sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=\"\",image!=\"\"}[5m]))\n/\n  scalar(foo)";
    let expr = parse(long).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pretty(&expr), want);
}

#[test]
fn nesting_is_refused_before_the_stack_ends() {
    for unit in
        ["(", "-", "sum(", "1^", "foo[(", "foo offset -(", "abs(", "a or b and c == d + e * -("]
    {
        assert!(parse(&unit.repeat(100_000)).is_err(), "{unit}");
    }
    let chain = vec!["foo"; 100_000].join("+");
    assert!(parse(&chain).is_err());
    assert!(parse(&vec!["foo"; 1000].join("+")).is_ok());
    assert!(parse(&format!("{}1{}", "(".repeat(100), ")".repeat(100))).is_ok());
    let subqueries = format!("foo{}", "[5m:1m]".repeat(5000));
    assert!(parse(&subqueries).is_err());
}

#[test]
fn time_is_linear_in_the_length() {
    let query = |n: usize| format!("foo{{{}}}", vec!["a=\"b\""; n].join(","));
    // The best of several runs, because other programs share the machine.
    let seconds = |n: usize| {
        let query = query(n);
        let once = |_| {
            let start = Instant::now();
            assert!(parse(&query).is_ok());
            start.elapsed().as_secs_f64()
        };
        (0..5).map(once).fold(f64::INFINITY, f64::min)
    };
    let (small, large) = (seconds(2_000), seconds(200_000));
    // Linear time is a hundredfold, quadratic time ten thousandfold.
    assert!(large < small * 1000.0, "{small} s and {large} s");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
        let _ = parse_metric_selector(&text);
        let _ = super::parse_series_desc(&text);
    }

    #[test]
    fn no_mix_of_tokens_panics_and_what_parses_prints(
        parts in prop::collection::vec(prop::sample::select(TOKENS), 0..14),
    ) {
        let text = parts.join(" ");
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            let again = parse(&printed).map(|e| e.to_string());
            prop_assert_eq!(again.as_deref(), Ok(printed.as_str()));
        }
    }
}

const TOKENS: &[&str] = &[
    "foo",
    "{a=\"b\"}",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "[5m]",
    "[5m:1m]",
    "offset",
    "5m",
    "-",
    "+",
    "*",
    "/",
    "^",
    "==",
    "bool",
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "(a)",
    "group_left",
    "sum",
    "by",
    "without",
    "rate",
    "abs",
    "1",
    "0x1f",
    "\"s\"",
    "@",
    "start()",
    "end()",
    "step()",
    "range()",
    "anchored",
    "smoothed",
    "fill(1)",
    "min_of(1,2)",
    ",",
    ":",
    "topk(1,",
    "#c\n",
    "é",
    "Inf",
    "NaN",
    "info",
    "</",
    ">/",
    "=~",
    "`r`",
];
