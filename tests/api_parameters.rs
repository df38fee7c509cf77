//! Odd parameters, asked of Varve and of the judge: status, error type, error
//! text, annotations and data must be the judge's. Every parameter of every
//! route that reads data is given every odd value of its kind.

use std::time::Duration;

use serde_json::Value;
use varve_runtime::{Clock, SystemClock};
use varve_tests::compare::same;
use varve_tests::http::{self, Response};
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::process::wait_for;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const STEP: i64 = 4000;

const TIMES: &[&str] = &[
    "",
    "0",
    "-1",
    "1.5",
    "1.0005",
    "1e3",
    "+5",
    ".5",
    "5.",
    "x",
    "5m",
    "now",
    "1 ",
    " 1",
    "1,5",
    "2015-06-03T13:21:58.555Z",
    "2015-06-03T13:21:58+07:00",
    "2015-06-03T13:21:58",
    "2015-02-30T00:00:00Z",
    "2015-06-03",
    "2015-06-03t13:21:58z",
    "9999999999",
    "-9999999999",
    "-292273086-05-16T16:47:06Z",
    "292277025-08-18T07:12:54.999999999Z",
];
const DURATIONS: &[&str] = &[
    "",
    "0",
    "-1",
    "5",
    "1.5",
    "0.0005",
    "1e3",
    "5m",
    "1h30m",
    "30m1h",
    "-5m",
    "5x",
    "m",
    "5 m",
    "1e30",
    "-1e30",
    "NaN",
    "Inf",
    "1y",
    "1ms",
    "0s",
    "100000d",
    "300000000y",
];
const LIMITS: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "-1",
    "x",
    "1.5",
    "1e3",
    "+1",
    "0x1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    " 1",
    "1_0",
];
const QUERIES: &[&str] = &[
    "",
    " ",
    "gen_gauge",
    "1",
    "\"text\"",
    "1+",
    "((1)",
    "foo bar",
    "sum(",
    "rate(gen_gauge)",
    "gen_gauge[5m]",
    "gen_gauge[5m:",
    "{}",
    "{job=~\"(\"}",
    "{job=\"job-0\"}",
    "a{b=c}",
    "1/0",
    "-1/0",
    "0/0",
    "1e21",
    "1e-7",
    "topk(1, gen_gauge{job=\"job-0\"})",
    "sum(gen_gauge) by",
    "absent(nope)",
    "scalar(gen_gauge)",
    "vector(1e300*1e10)",
    "rate(gen_gauge[1m])",
    "gen_exponential",
    "quantile(2, gen_gauge)",
    "# only a comment",
    "sort_by_label(gen_gauge, \"job\")",
    "gen_gauge offset -1d",
    "gen_gauge @ end()",
    "é",
    "histogram_quantile(0.5, gen_custom)",
    "gen_gauge == bool 1",
    "gen_gauge and on(",
    "limitk(1, gen_gauge)",
    "info(gen_gauge)",
];
const SELECTORS: &[&str] = &[
    "",
    "gen_gauge",
    "{job=\"job-0\"}",
    "{}",
    "{job=~\".*\"}",
    "{job=~\".+\"}",
    "{job!=\"x\"}",
    "gen_gauge{job=\"job-1\"}",
    "gen_gauge[5m]",
    "rate(gen_gauge[5m])",
    "1",
    "gen_gauge + 1",
    "{job=~\"(\"}",
    "{__name__=~\"gen_.*\"}",
    "{\"gen_gauge\"}",
    "nothing",
    "gen_gauge{",
    "up up",
    "gen_gauge offset 5m",
    "gen_gauge @ 5",
];
const STATS: &[&str] = &["", "x", "false", "none"];

/// What is odd about a parameter.
fn values(parameter: &str) -> &'static [&'static str] {
    match parameter {
        "time" | "start" | "end" => TIMES,
        "step" | "timeout" | "lookback_delta" => DURATIONS,
        "limit" => LIMITS,
        "match[]" => SELECTORS,
        "stats" => STATS,
        _ => QUERIES,
    }
}

/// The answer in one order, without what cannot be equal.
fn settled(answer: &Response) -> Value {
    let mut body = answer.json();
    if let Some(data) = body["data"].as_object_mut() {
        data.remove("stats");
    }
    // Which results a limit leaves is free.
    let cut = body["warnings"].to_string().contains("truncated due to limit");
    let lists =
        [body["data"].as_array().map(Vec::len), body["data"]["result"].as_array().map(Vec::len)];
    if let (true, Some(len)) = (cut, lists.into_iter().flatten().next()) {
        body["data"] = len.into();
    }
    if let Some(list) = body["data"].as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    body
}

/// What differs, if anything.
fn differs(ours: &Response, judge: &Response) -> Option<String> {
    let (a, b) = (settled(ours), settled(judge));
    let fields = ["status", "errorType", "error", "warnings", "infos"];
    let field = fields.iter().find(|f| a[**f] != b[**f]);
    if ours.status != judge.status || field.is_some() {
        let shown =
            |r: &Response| format!("{} {}", r.status, r.body.chars().take(400).collect::<String>());
        return Some(format!("{}\n    is not {}", shown(ours), shown(judge)));
    }
    let equal = match b["data"]["resultType"].is_string() {
        true => same(&a["data"], &b["data"]),
        false if a["data"] == b["data"] => Ok(()),
        false => Err(format!("{} is not {}", a["data"], b["data"])),
    };
    equal.err()
}

#[test]
fn odd_parameters_are_answered_as_prometheus_answers_them() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).config("ingester: {hold: 0}\n").started();
    let options =
        OracleOptions { forward: Some((varve.write_url(), "v2")), ..OracleOptions::default() };
    let Some(mut judge) = Oracle::start(dir.path(), &options) else { return };
    let begin = (SystemClock.now_ms() / STEP + 2) * STEP;
    // The generated marker of staleness comes after it.
    let end = begin + 27 * STEP;
    judge.generate(begin, end, STEP);
    let (from, to) = ((begin / 1000).to_string(), (end / 1000).to_string());
    let last = [("query", "count(last_over_time({__name__=~\"gen_.+\"}[1s]))"), ("time", &*to)];
    wait_for("the last samples arrive", Duration::from_secs(60), || {
        let answer = http::get(&varve.url("/api/v1/query"), &last).json();
        (answer["data"]["result"][0]["value"][1] == "18").then_some(())
    });

    /// A path, the parameters that it is asked with, and those that are varied.
    type Route<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

    let instant = [("query", "gen_gauge"), ("time", &*to)];
    let range = [("query", "gen_gauge"), ("start", &*from), ("end", &*to), ("step", "8")];
    let exemplars = [("query", "gen_counter_total"), ("start", &*from), ("end", &*to)];
    let series = [("match[]", "gen_gauge"), ("start", &*from), ("end", &*to)];
    let labels = [("start", &*from), ("end", &*to)];
    let routes: [Route<'_>; 8] = [
        ("query", &instant, &["query", "time", "timeout", "limit", "lookback_delta", "stats"]),
        (
            "query_range",
            &range,
            &["query", "start", "end", "step", "timeout", "limit", "lookback_delta", "stats"],
        ),
        ("query_exemplars", &exemplars, &["query", "start", "end"]),
        ("format_query", &[], &["query"]),
        ("parse_query", &[], &["query"]),
        ("series", &series, &["match[]", "start", "end", "limit"]),
        ("labels", &labels, &["match[]", "start", "end", "limit"]),
        ("label/job/values", &labels, &["match[]", "start", "end", "limit"]),
    ];
    let (mut asked, mut wrong) = (0, Vec::new());
    let mut check = |name: String, ours: Response, theirs: Response| {
        asked += 1;
        if let Some(why) = differs(&ours, &theirs) {
            wrong.push(format!("{name}: {why}"));
        }
    };
    for (route, base, parameters) in routes {
        for parameter in parameters {
            for value in values(parameter) {
                // Whether a query takes less than that is a matter of chance.
                if *parameter == "timeout" && ["0.0005", "1ms"].contains(value) {
                    continue;
                }
                // Less than a millisecond is a known difference (docs/gaps).
                if (route, *parameter, *value) == ("query_range", "lookback_delta", "0.0005") {
                    continue;
                }
                let mut params: Vec<(&str, &str)> = base.to_vec();
                params.retain(|(name, _)| name != parameter);
                if !base.iter().any(|(name, _)| *name == "query") {
                    // A start after its end is a known difference (docs/gaps).
                    params.retain(|(name, _)| !matches!(*name, "start" | "end"));
                }
                params.push((parameter, value));
                let ask = |url: &str| http::get(&format!("{url}/api/v1/{route}"), &params);
                check(format!("{route} {params:?}"), ask(&varve.url("")), ask(judge.url()));
            }
        }
        if !route.starts_with("label/") {
            let ask = |url: &str| http::post(&format!("{url}/api/v1/{route}"), base);
            check(format!("POST {route} {base:?}"), ask(&varve.url("")), ask(judge.url()));
        }
    }
    // As they stand in the URL.
    for uri in [
        "query?query=1%2",
        "query?query=%zz1&query=2&time=5",
        "query?query=1;2",
        "query?query=1&query=2&time=5",
        "query?query=1&timeout=0&lookback_delta=x",
        "query?query=1%2B&timeout=0",
        "query?&&=&query=1&time=5",
        "series?match[]=gen_gauge&x=%zz",
        "series?match[]=gen_gauge;x",
        "series?match[]=gen_gauge;x&match[]=gen_gauge&y=%q",
        "series?x=%f&match[]=gen_gauge",
        "series",
        "series?match[]=gen_gauge&match[]=gen_decimal",
        "labels?match[]=gen_gauge;&limit=1",
        "labels?start=10&end=5",
        "label/U__j_6f_b/values",
        "label/U__j_6f/values",
        "label/nothing/values",
        "label/job/values?match[]=gen_gauge&match[]=gen_decimal&limit=1",
        "admin/tsdb/snapshot",
    ] {
        let ask = |url: &str| http::get(&format!("{url}/api/v1/{uri}"), &[]);
        check(uri.to_owned(), ask(&varve.url("")), ask(judge.url()));
    }
    for route in ["admin/tsdb/snapshot", "admin/tsdb/delete_series", "admin/tsdb/clean_tombstones"]
    {
        let ask = |url: &str| http::post(&format!("{url}/api/v1/{route}"), &[("match[]", "up")]);
        check(format!("POST {route}"), ask(&varve.url("")), ask(judge.url()));
    }
    assert!(asked > 400, "only {asked} requests");
    assert!(wrong.is_empty(), "{} of {asked} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
