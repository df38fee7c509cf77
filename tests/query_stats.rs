//! What a query is said to have cost: `stats=all` as the judge has it, and the
//! query log.

use serde_json::Value;
use varve_tests::client::{Client, V1};
use varve_tests::flood::long;
use varve_tests::http::{get, post};
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::process::wait_for;
use varve_tests::traffic::T0;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SAMPLES: usize = 900;

/// Each counts samples in another way.
const QUERIES: [&str; 20] = [
    "load",
    "load offset 2m",
    "load @ 1000",
    "sum(load)",
    "load + on (id) load",
    "rate(load[1m])",
    "sum(rate(load[10s]))",
    "rate(load[1m] offset 30s)",
    "max_over_time(load[1m] @ end())",
    "predict_linear(load[1m] @ end(), 60)",
    "timestamp(load)",
    "absent_over_time(load[1m])",
    "absent(nothing)",
    "max_over_time(load[1m:10s])",
    "max_over_time(rate(load[30s])[1m:10s])",
    "max_over_time(load[10s:5s])",
    "max_over_time(load[1m:10s] offset 1m)",
    "max_over_time(max_over_time(load[1m:10s])[2m:30s])",
    "sum_over_time((load @ end())[1m:10s])",
    "vector(1)",
];

#[test]
fn samples_are_counted_as_the_judge_counts_them() {
    let dir = tempfile::tempdir().expect("make a folder");
    let options = OracleOptions::default();
    let Some(judge) = Oracle::start(dir.path(), &options) else { return };
    let varve = Varve::new(BINARY, "varve", dir.path()).started();
    let client = Client::new("anonymous", std::time::Duration::from_secs(60));
    let body = long("load", (5, SAMPLES), T0);
    for url in [varve.write_url(), judge.write_url()] {
        let answer = client.write(&url, V1, body.clone());
        assert_eq!(answer.status / 100, 2, "{url}: {}", answer.body);
    }
    let (start, end) = (T0 / 1000 + 300, T0 / 1000 + SAMPLES as i64 - 7);
    let (start, end) = (start.to_string(), end.to_string());
    let counts = |base: &str, path: &str, params: &[(&str, &str)]| -> (Value, Value) {
        let answer = get(&format!("{base}{path}"), params);
        assert_eq!(answer.status, 200, "{base}{path} {params:?}: {}", answer.body);
        let samples = answer.json()["data"]["stats"]["samples"].take();
        assert!(samples["peakSamples"].is_u64(), "{samples}");
        (samples["totalQueryableSamples"].clone(), samples["samplesRead"].clone())
    };
    let mut wrong = Vec::new();
    for query in QUERIES {
        let query = query.replace("@ 1000", &format!("@ {end}"));
        let instant = [("query", query.as_str()), ("time", &end), ("stats", "all")];
        let range = |step: &'static str| {
            let times = [("start", start.as_str()), ("end", end.as_str()), ("step", step)];
            let mut params = vec![("query", query.as_str()), ("stats", "all")];
            params.extend(times);
            params
        };
        for (path, params) in [
            ("/api/v1/query", instant.to_vec()),
            ("/api/v1/query_range", range("7")),
            ("/api/v1/query_range", range("60")),
        ] {
            let (ours, theirs) =
                (counts(&varve.url(""), path, &params), counts(judge.url(), path, &params));
            if ours != theirs {
                wrong.push(format!("{path} {query}: {ours:?}, the judge counts {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_query_leaves_a_line_in_the_log() {
    let dir = tempfile::tempdir().expect("make a folder");
    let log = dir.path().join("queries.log");
    let config = format!("querier: {{query_log_file: '{}'}}\n", log.display());
    let varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    let url = varve.url("/api/v1/query_range");
    let times = [("start", "1000.5"), ("end", "1060"), ("step", "15")];
    for query in ["vector(1)", "topk(1e99, vector(1))"] {
        post(&url, &[&[("query", query)], &times[..]].concat());
    }
    let lines: Vec<Value> = wait_for("two lines", std::time::Duration::from_secs(10), || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        (lines.len() == 2).then_some(lines)
    });
    let expected = serde_json::json!({
        "query": "vector(1)",
        "start": "1970-01-01T00:16:40.500Z",
        "end": "1970-01-01T00:17:40.000Z",
        "step": 15,
    });
    assert_eq!(lines[0]["params"], expected);
    assert_eq!(lines[0]["msg"], "promql query logged");
    assert_eq!(lines[0]["tenant"], "anonymous");
    assert!(lines[0]["error"].is_null(), "{}", lines[0]);
    let stats = &lines[0]["stats"];
    assert_eq!(stats["samples"]["totalQueryableSamples"], 0);
    assert!(stats["timings"]["execTotalTime"].as_f64().is_some_and(|t| t > 0.0), "{stats}");
    assert!(lines[1]["error"].as_str().is_some_and(|e| e.contains("int64")), "{}", lines[1]);
}
