//! What patterns take, and which are refused with which text. Verdicts and
//! texts are those of Go 1.26.

use proptest::prelude::*;

use super::{MatchOp, Matcher, Test, compile_regex};

fn regex(pattern: &str) -> Matcher {
    Matcher::new(MatchOp::Regex, "l", pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"))
}

#[test]
fn patterns_take_what_go_takes() {
    let cases: [(&str, &[&str], &[&str]); 29] = [
        ("", &[""], &["a"]),
        ("foo", &["foo"], &["foobar", "xfoo", "FOO"]),
        ("foo|bar|", &["foo", "bar", ""], &["foobar", "fo"]),
        ("foo.*", &["foo", "foobar", "foo\nbar"], &["xfoo"]),
        (".*foo", &["foo", "xfoo"], &["foox"]),
        (".+foo.+", &["xfoox"], &["foo", "xfoo", "foox"]),
        (".*foo.*", &["foo", "xfoox", "éfoo"], &["fo"]),
        (".+", &["a", "\n"], &[""]),
        (".*", &["", "a"], &[]),
        ("(foo|bar)-[12]x?", &["foo-1", "bar-2x"], &["foo-3", "foo"]),
        ("(?i)foo", &["FOO", "fOo"], &["fo"]),
        (r"\d+", &["12"], &["1a", "١"]),
        (r"\w\s", &["a "], &["é ", "a\u{a0}"]),
        (r"[^\d]", &["a"], &["1"]),
        (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
        (r"\Qa.b", &["a.b"], &["axb"]),
        (r"\101\x42\x{43}", &["ABC"], &["101"]),
        ("[[]", &["["], &["]"]),
        ("[]a]", &["]", "a"], &["["]),
        ("[a&&b]+", &["a&b"], &["c"]),
        ("[[:alpha:]-]+", &["a-b"], &["1"]),
        ("[a-c-]", &["-", "b"], &["d"]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("{", &["{"], &[""]),
        (r"a\_b\-c", &["a_b-c"], &["abc"]),
        (r"\p{Greek}\pL", &["αa"], &["aα"]),
        ("(?P<n>a)(?P<n>b)(?<1>c)", &["abc"], &["ab"]),
        ("((a{500}){0}b{2}){2}x?", &["bbbb", "bbbbx"], &["bb"]),
        ("(a{2}){0,3}x{0,}", &["", "aaaa", "xx"], &["a"]),
    ];
    for (pattern, yes, no) in cases {
        let m = regex(pattern);
        // What stands around a pattern is quoted by `\Q` without an end.
        let open = pattern.contains(r"\Q") && !pattern.contains(r"\E");
        let engine = compile_regex(&format!("{pattern}{}", if open { r"\E" } else { "" }));
        let engine = engine.unwrap_or_else(|e| panic!("{pattern}: {e}"));
        for (values, want) in [(yes, true), (no, false)] {
            for value in values {
                assert_eq!(m.matches(value), want, "{pattern} {value:?}");
                assert_eq!(engine.is_match(value), want, "{pattern} {value:?} by the engine");
            }
        }
    }
}

#[test]
fn label_replace_reads_a_pattern_with_what_stands_around_it() {
    assert!(compile_regex(r"\Qa").is_err());
    assert!(Matcher::new(MatchOp::Regex, "l", "a)|(b").is_err());
    let parts = compile_regex("a)|(b").expect("two alternatives");
    assert!(parts.is_match("a-") && parts.is_match("-b") && !parts.is_match("-"));
}

#[test]
fn patterns_that_go_refuses_are_refused() {
    let cases = [
        ("b(", "missing closing ): `b(`"),
        ("b)", "unexpected ): `b)`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|+", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(a{1000}){1000}", "invalid repeat count: `{1000}`"),
        ("((a{30}|b)c{2}){34}", "invalid repeat count: `{34}`"),
        ("((a{10})*){2}x{3}({1}", "missing argument to repetition operator: `{1}`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        (r"\x{4g}", r"invalid escape sequence: `\x{4g`"),
        (r"\x{}", r"invalid escape sequence: `\x{}`"),
        (r"\x4", r"invalid escape sequence: `\x4`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\u0041", r"invalid escape sequence: `\u`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?P<a-b>c)", "invalid named capture: `(?P<a-b>`"),
    ];
    for (pattern, want) in cases {
        let got = Matcher::new(MatchOp::Regex, "l", pattern).map_err(|e| e.to_string());
        assert_eq!(got.err(), Some(format!("error parsing regexp: {want}")), "{pattern}");
    }
}

#[test]
fn simple_patterns_need_no_engine() {
    for pattern in ["a|b", "a.*", ".*a", "(?:a|b)c", "(a)", "x(1|2|3)", ".+", "a\\.b", "^a$"] {
        let needs = matches!(regex(pattern).test, Test::Regex(_));
        assert_eq!(needs, pattern == "^a$", "{pattern}");
    }
    let sorted = ["x1".to_owned(), "x2".to_owned()];
    assert_eq!(regex("x(2|1)").set_matches(), Some(&sorted[..]));
    assert_eq!(regex("x.*").set_matches(), None);
}

proptest! {
    #[test]
    fn no_pattern_panics(pattern in "\\PC{0,20}") {
        let _ = Matcher::new(MatchOp::Regex, "l", &pattern);
    }

    /// With and without the engine, the answer is the same.
    #[test]
    fn shapes_agree_with_the_engine(
        pattern in prop::collection::vec(
            prop::sample::select(&["a", "b", "é", ".*", ".+", ".", "|", "(", ")", "?", "[ab]", "(?i)", "\\."][..]),
            0..8,
        ),
        values in prop::collection::vec("[abAé.\n]{0,5}", 1..8),
    ) {
        let pattern = pattern.concat();
        if let (Ok(m), Ok(engine)) =
            (Matcher::new(MatchOp::Regex, "l", &pattern), compile_regex(&pattern))
        {
            for v in &values {
                prop_assert_eq!(m.matches(v), engine.is_match(v), "{} on {:?}", pattern, v);
            }
        }
    }
}
