//! Regular expressions are taken, refused, and match as in Prometheus: odd
//! patterns over odd strings, in matchers and in `label_replace`. What is known
//! to differ (docs/gaps) must differ, so that it is taken off once it does not.

use varve_model::{Labels, Series};
use varve_promql::parse::quote;
use varve_tests::differ::answer::{Order, same};
use varve_tests::differ::court::{Pair, Server, client};
use varve_tests::differ::data::Data;
use varve_tests::differ::query::Query;
use varve_wire::prompb::{RequestV2, compress};

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const TIME: i64 = 1_700_000_000_000;

const STRINGS: [&str; 36] = [
    "a", "A", "ab", "aab", "abc", "b", "foo", "Foo", "foobar", "barfoo", "foo|bar", "|foo|",
    "a|foo|b", "a.b", "a\nb", "\n", "\r", "\t", " ", "1", "12", "a1b2", "-", "_", "[", "]", "\\",
    "\\d", "é", "É", "ſ", "K", "日本", "a-z", "^a$", "x{2}",
];

const PATTERNS: [&str; 155] = [
    "",
    ".",
    ".*",
    ".+",
    ".?",
    "a",
    "(a)",
    "(?:a)",
    "a|b",
    "a|",
    "|a",
    "|",
    "(|a)",
    "a||b",
    "foo|bar",
    "foo.*",
    ".*foo",
    ".*foo.*",
    ".+foo",
    "foo.+",
    "(foo|bar).*",
    ".*(foo|bar)",
    ".*\\|(foo)\\|.*",
    "foo\\|bar",
    "[ab]",
    "[^ab]",
    "[a-c]+",
    "[^a-c]+",
    "[]]",
    "[^]]",
    "[]a]",
    "[a",
    "a]",
    "[[]",
    "[a[b]",
    "[a&&b]",
    "[a--b]",
    "[a~~b]",
    "[a-]",
    "[-a]",
    "[a-c-e]",
    "[c-a]",
    "[\\d]",
    "[\\D]",
    "[^\\d]",
    "[\\w-]",
    "[[:alpha:]]",
    "[[:^alpha:]]",
    "[[:word:]]",
    "[[:foo:]]",
    "[:alpha:]",
    "\\d",
    "\\D",
    "\\w+",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\ba\\b",
    "\\B",
    "\\A",
    "\\z",
    "\\Z",
    "\\Aa\\z",
    "\\Q.\\E",
    "\\Qa.b\\E",
    "\\Qa|b",
    "\\E",
    "\\C",
    "\\pL",
    "\\p{L}",
    "\\p{Greek}",
    "\\PL",
    "\\p{^L}",
    "\\pX",
    "\\p{Foo}",
    "\\x41",
    "\\x{41}",
    "\\x{110000}",
    "\\x4",
    "\\101",
    "\\1",
    "\\8",
    "\\0",
    "\\07",
    "\\a",
    "\\f",
    "\\t",
    "\\n",
    "\\r",
    "\\v",
    "\\_",
    "\\-",
    "\\é",
    "\\h",
    "\\u0041",
    "\\e",
    "\\",
    "a*",
    "a+",
    "a?",
    "a*?",
    "a+?",
    "a??",
    "a**",
    "a*+",
    "a++",
    "a?*",
    "*",
    "+a",
    "?",
    "a{2}",
    "a{2,}",
    "a{1,2}",
    "a{,2}",
    "a{2,1}",
    "a{1001}",
    "a{1000}",
    "(a{1000}){1000}",
    "a{",
    "a{}",
    "a{x}",
    "{",
    "}",
    "{2}",
    "x{2}{3}",
    "^a",
    "a$",
    "^^a$$",
    "a^b",
    "(?i)foo",
    "(?i:f)oo",
    "(?s).",
    "(?-s).",
    "(?m)^a$",
    "(?U)a+",
    "(?x)a b",
    "(?u)a",
    "(?P<n>a)",
    "(?<n>a)",
    "(?P<n>a)(?P<n>b)",
    "(?P<1>a)",
    "(?P=n)",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?#c)",
    "(",
    ")",
    "(a",
    "a)",
    "(?i)K",
    "a)|(b",
    "\\x{4g}",
    "((a{30}|b)c{2}){34}",
];

/// Taken by Prometheus, where they match nothing, and refused by Varve: no
/// string in UTF-8 has half of a surrogate pair.
const KNOWN: [&str; 2] = ["\\x{d800}", "[\\x{d800}-\\x{dfff}]"];

fn write(server: &Server) {
    let mut request = RequestV2::new();
    for (i, s) in STRINGS.iter().enumerate() {
        let id = i.to_string();
        let labels = [("__name__", "odd"), ("id", id.as_str()), ("s", s)];
        let labels = Labels::from_pairs(labels).expect("valid labels");
        let mut series = Series { labels, ..Series::default() };
        series.floats.push(TIME, 1.0, 0);
        request.push(&series, &[], None);
    }
    server.write(&[compress(&request.finish())]).unwrap_or_else(|e| panic!("{e}"));
}

/// The queries that show what a pattern takes.
fn queries(pattern: &str) -> [Query; 3] {
    let quoted = quote(pattern);
    [
        format!("odd{{s=~{quoted}}}"),
        format!("odd{{s!~{quoted}}}"),
        format!("label_replace(odd, \"d\", \"<$1>\", \"s\", {quoted})"),
    ]
    .map(|text| Query { text, start: TIME, end: TIME, step: 0, lookback: None })
}

#[test]
fn odd_patterns_are_those_of_prometheus() {
    let dir = tempfile::tempdir().expect("make a folder");
    let data = Data::new(1);
    let Some(pair) = Pair::start(BINARY, dir.path(), &data, false) else { return };
    let (ours, judge) = (pair.ours(), pair.judge());
    write(&ours);
    write(&judge);
    let client = client();
    let ask = |url: &str, query: &Query| {
        let (path, params) = query.request();
        let params: Vec<_> = params.iter().map(|(k, v)| (*k, v.as_str())).collect();
        client.post_form(&format!("{url}{path}"), &params)
    };
    let (mut wrong, mut taken) = (Vec::new(), 0);
    for query in PATTERNS.into_iter().flat_map(queries) {
        let (a, b) = (ask(&ours.url, &query), ask(&judge.url, &query));
        taken += usize::from(b.status == 200);
        if let Err(difference) = same(&a, &b, Order::Free) {
            wrong.push(format!("{}: {}", query.text, difference.what));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken > 250, "only {taken} of the queries are valid");
    for query in KNOWN.into_iter().flat_map(queries) {
        let (a, b) = (ask(&ours.url, &query), ask(&judge.url, &query));
        assert_eq!((a.status / 100, b.status), (4, 200), "{}: {} {}", query.text, a.body, b.body);
    }
}
