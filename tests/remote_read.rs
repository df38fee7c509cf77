//! Remote read: what Varve answers holds the samples that Prometheus answers
//! with, in both forms, from memory and from blocks; Prometheus' own appender
//! would write the same chunks; and Debian's Prometheus 2.42 answers queries
//! over Varve's data, of the tenant that basic authentication or the URL names.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use varve_runtime::{Clock, SystemClock};
use varve_tests::http;
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::parts;
use varve_tests::process::{Process, free_port, wait_for};
use varve_tests::remote_read::{SAMPLES, STREAMED, decode, frames, matcher, post, request};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const STEP: i64 = 4000;
const STEPS: i64 = 300;

/// Generates in the judge and waits until Varve has it; returns the range.
fn filled(varve: &Varve, tenant: &str, judge: &mut Oracle) -> (i64, i64) {
    let start = (SystemClock.now_ms() / STEP + 2) * STEP;
    // As far as Varve takes samples of the future.
    let end = start + (STEPS - 1) * STEP / 10;
    let step = STEP / 10;
    assert_eq!(judge.generate(start, end, step), 9 * 2 * STEPS as usize);
    let time = format!("{}.{:03}", end / 1000, end % 1000);
    let last = [("query", "count(last_over_time({__name__=~\"gen_.+\"}[1s]))"), ("time", &time)];
    let url = varve.url(&format!("/tenant/{tenant}/api/v1/query"));
    wait_for("the last samples arrive", Duration::from_secs(60), || {
        let answer = http::get(&url, &last).json();
        (answer["data"]["result"][0]["value"][1] == "18").then_some(())
    });
    (start, end)
}

fn start(dir: &Path, tenant: &str) -> Option<(Varve, Oracle)> {
    let varve = Varve::new(BINARY, "varve", dir).config("ingester: {hold: 0}\n").started();
    let url = varve.url(&format!("/tenant/{tenant}/api/v1/write"));
    let options = OracleOptions {
        forward: Some((url, "v2")),
        plain_chunks: true,
        ..OracleOptions::default()
    };
    Oracle::start(dir, &options).map(|judge| (varve, judge))
}

#[test]
fn both_forms_hold_what_prometheus_holds() {
    let dir = tempfile::tempdir().expect("make a folder");
    let Some((varve, mut judge)) = start(dir.path(), "anonymous") else { return };
    let (from, to) = filled(&varve, "anonymous", &mut judge);

    let theirs = format!("{}/api/v1/read", judge.url());
    let ours = varve.url("/api/v1/read");
    let ranges = [(from, to), (from + 10 * STEP, to - 10 * STEP), (from + 1, from + 1)];
    for step in ["recent", "shipped"] {
        if step == "shipped" {
            assert!(!varve.ship().is_empty());
        }
        for (pattern, range) in [
            (".+", ranges[0]),
            ("gen_.*exponential.*|gen_custom.*", ranges[1]),
            ("gen_stale|gen_counter_total", ranges[1]),
            ("gen_gauge", ranges[2]),
            ("nothing", ranges[0]),
        ] {
            let ask =
                |accepted: &[i32]| request(accepted, vec![matcher("__name__", pattern)], range);
            let want = decode(&post(&theirs, ask(&[SAMPLES]), None));
            let name = format!("{step}, {pattern}, {range:?}");
            for accepted in [&[][..], &[SAMPLES], &[9, STREAMED, SAMPLES]] {
                let got = decode(&post(&ours, ask(accepted), None));
                assert!(got == want, "{name}, {accepted:?}: {got:?}\nis not\n{want:?}");
            }
            // Prometheus streams whole chunks, so only all of time can be compared.
            if range == ranges[0] {
                let streamed = decode(&post(&theirs, ask(&[STREAMED]), None));
                assert!(streamed == want, "{name}: the decoder reads Prometheus' chunks wrongly");
            }
            let answer = post(&ours, ask(&[STREAMED]), None);
            let again = post(&format!("{}/transcode", judge.url()), answer.body.clone(), None);
            assert_eq!(again.status, 200, "{name}: {}", String::from_utf8_lossy(&again.body));
            assert_eq!(frames(&again.body), frames(&answer.body), "{name}");
        }
    }
}

/// The result of a query, sorted.
fn ask(url: &str, query: &str, (from, to): (i64, i64)) -> (u16, Value) {
    let (from, to) = ((from / 1000).to_string(), (to / 1000).to_string());
    let params = [("query", query), ("start", &from), ("end", &to), ("step", "10")];
    let answer = http::get(&format!("{url}/api/v1/query_range"), &params);
    let mut result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    result.sort_by_key(|s| s["metric"].to_string());
    (answer.status, Value::Array(result))
}

#[test]
fn debians_prometheus_reads_a_tenants_data() {
    let dir = tempfile::tempdir().expect("make a folder");
    if !parts::require("prometheus") {
        return;
    }
    let Some((varve, mut judge)) = start(dir.path(), "reader") else { return };
    let (from, to) = filled(&varve, "reader", &mut judge);
    let by_user =
        format!("{}\n    basic_auth: {{username: reader, password: x}}", varve.url("/api/v1/read"));
    let by_path = varve.url("/tenant/reader/api/v1/read");
    for (name, url) in [("user", by_user), ("path", by_path)] {
        let port = free_port();
        let path = dir.path().join(format!("{name}.yml"));
        let config = format!("remote_read:\n  - url: {url}\n    read_recent: true\n");
        std::fs::write(&path, config).expect("write configuration");
        let _reader = Process::start(
            &format!("prometheus-{name}"),
            dir.path(),
            Command::new("prometheus")
                .arg(format!("--config.file={}", path.display()))
                .arg(format!("--storage.tsdb.path={}", dir.path().join(name).display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--enable-feature=native-histograms"),
        );
        let reader = format!("http://127.0.0.1:{port}");
        wait_for("prometheus is ready", Duration::from_secs(60), || {
            (http::get(&format!("{reader}/-/ready"), &[]).status == 200).then_some(())
        });
        // What 2.42 and 3.15 answer alike; it passes over native histograms
        // of a remote read.
        for query in [
            "gen_counter_total",
            "gen_stale",
            "sum by (job) (gen_decimal)",
            "max_over_time(gen_gauge[31s])",
            "rate(gen_counter_total[29s]) > 0",
            "count({__name__=~\"gen_(gauge|decimal)\", job=\"job-1\"})",
        ] {
            let (status, want) = ask(&varve.url("/tenant/reader"), query, (from, to));
            assert_eq!(status, 200, "{query}");
            assert!(want.as_array().is_some_and(|r| !r.is_empty()), "{query}: no data");
            assert_eq!(ask(&reader, query, (from, to)), (200, want), "{name}: {query}");
        }
    }
}
