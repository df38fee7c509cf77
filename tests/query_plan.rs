//! Plans that are shown, over recent and over shipped data.

use serde_json::Value;
use varve_tests::client::{Client, V1};
use varve_tests::flood::{long, noise, wide};
use varve_tests::http::get;
use varve_tests::traffic::T0;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SERIES: usize = 5;
const SAMPLES: usize = 900;
const QUERY: &str = "sum(rate(load[1m])) + sum(load) > bool 0";

#[test]
fn estimates_come_from_indexes_and_measures_from_the_evaluation() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).started();
    let client = Client::new("anonymous", std::time::Duration::from_secs(60));
    let answer = client.write(&varve.write_url(), V1, long("load", (SERIES, SAMPLES), T0));
    assert_eq!(answer.status / 100, 2, "{}", answer.body);

    check(&varve, "recent");
    read_once(&varve);
    varve.ship();
    check(&varve, "shipped");

    let params = [("query", QUERY), ("explain", "true"), ("timeout", "0s")];
    let late = get(&varve.url("/api/v1/query"), &params);
    assert_eq!((late.status, &late.json()["errorType"]), (503, &"timeout".into()), "{}", late.body);
}

/// A selector that needs more than may be read ahead is read when its turn
/// comes, as if nothing had been.
#[test]
fn later_selectors_are_read_ahead_within_a_bound() {
    let dir = tempfile::tempdir().expect("make a folder");
    // A sixteenth: 64 KiB.
    let config = "querier: {reads: {max_memory_per_query: 1MiB}}\n";
    let varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    let client = Client::new("anonymous", std::time::Duration::from_secs(60));
    for (metric, series, bytes) in [("small", 2, 10), ("large", 60, 2000)] {
        let body = wide(metric, &noise(series, bytes), (T0, 1.0));
        let answer = client.write(&varve.write_url(), V1, body);
        assert_eq!(answer.status / 100, 2, "{}", answer.body);
    }
    for (query, twice) in [
        ("count(small) + count(large)", true),
        ("count(large) + count(small)", false),
        ("count(small) + count(small offset 1s) * 30", false),
        ("count(large) + (count(large) - count(large)) + 2", false),
    ] {
        let data = analyzed(&varve, query, T0 / 1000 + 2);
        assert_eq!(data["result"][0]["value"][1], "62", "{query}");
        let selectors = if query.matches("large").count() == 3 { 1 } else { 2 };
        let requests = sum(&data["analysis"], "requests");
        assert_eq!(requests, selectors + u64::from(twice), "{query}: {data:#}");
    }
}

/// The data of an instant query, and what its parts cost.
fn analyzed(varve: &Varve, query: &str, time: i64) -> Value {
    let time = time.to_string();
    let params = [("query", query), ("time", &time), ("analyze", "true")];
    let answer = get(&varve.url("/api/v1/query"), &params);
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()["data"].take()
}

/// Selectors that ask for the same share one read.
fn read_once(varve: &Varve) {
    let requests = |query: &str| {
        let data = analyzed(varve, query, T0 / 1000 + SAMPLES as i64);
        assert_eq!(data["result"].as_array().map(Vec::len), Some(SERIES), "{query}");
        sum(&data["analysis"], "requests")
    };
    let alone = requests("load");
    assert!(alone >= 1);
    for query in ["load / (load + load)", "rate(load[5m]) + rate(load[5m])"] {
        assert_eq!(requests(query), alone, "{query}");
    }
    assert_eq!(requests("load + load offset 1m"), 2 * alone);
}

/// What all parts of a plan have measured.
fn sum(part: &Value, what: &str) -> u64 {
    let parts = part["parts"].as_array().into_iter().flatten();
    part["measured"][what].as_u64().unwrap_or(0) + parts.map(|p| sum(p, what)).sum::<u64>()
}

/// Asks for the plan, for the plan with the answer, and for the answer alone.
fn check(varve: &Varve, place: &str) {
    let (start, end) = (T0 / 1000 + 120, T0 / 1000 + SAMPLES as i64 + 60);
    let (start, end) = (start.to_string(), end.to_string());
    let ask = |more: &[(&str, &str)]| -> Value {
        let params = [("query", QUERY), ("start", &start), ("end", &end), ("step", "60")];
        let answer = get(&varve.url("/api/v1/query_range"), &[&params, more].concat());
        assert_eq!(answer.status, 200, "{place} {more:?}: {}", answer.body);
        answer.json()["data"].take()
    };
    let plain = ask(&[]);
    let explained = ask(&[("explain", "true")]);
    let mut analyzed = ask(&[("analyze", "true")]);
    assert_eq!(explained.as_object().map(serde_json::Map::len), Some(1), "{explained}");
    let analysis = analyzed.as_object_mut().and_then(|data| data.remove("analysis"));
    let analysis = analysis.unwrap_or_default();
    assert_eq!(analyzed, plain, "{place}");
    let paths = ["/parts/0/parts/0/parts/0", "/parts/1/parts/0"];
    for (path, operator) in paths.into_iter().zip(["range", "select"]) {
        let of = |tree: &Value| tree.pointer(path).cloned().unwrap_or_default();
        let (alone, leaf) = (of(&explained["explain"]), of(&analysis));
        assert_eq!(leaf["operator"], operator, "{place}: {analysis:#}");
        if place == "recent" {
            assert_eq!(alone["estimated"], leaf["estimated"]);
        }
        assert!(alone["measured"].is_null(), "{place}: {alone}");
        let number = |kind: &str, what: &str| {
            leaf[kind][what].as_f64().unwrap_or_else(|| panic!("{place}: {kind} {what} of {leaf}"))
        };
        for kind in ["estimated", "measured"] {
            assert!(number(kind, "bytes") > 0.0, "{place}: {leaf:#}");
            assert!(number(kind, "requests") >= 1.0, "{place}: {leaf:#}");
            assert!(number(kind, "memoryBytes") > 0.0, "{place}: {leaf:#}");
            assert!(number(kind, "seconds") > 0.0, "{place}: {leaf:#}");
        }
        assert_eq!(number("measured", "series"), SERIES as f64, "{place}: {leaf:#}");
        for what in ["series", "samples"] {
            let ratio = number("estimated", what) / number("measured", what);
            assert!((0.95..=1.05).contains(&ratio), "{place}: {what} of {leaf:#}");
        }
    }
}
