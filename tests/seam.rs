//! The seam between heads and blocks: while everything is shipped a hundred
//! times over, and readers are held up between pinning a catalog version and
//! asking the heads, no query sees a sample twice or misses one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use varve_tests::http;
use varve_tests::remote_write::{body, send, series};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SERIES: usize = 20;
const SHIPS: i64 = 100;
const T0: i64 = 1_700_000_000_000;
const STEP: i64 = 1_000;

fn value(series: usize, i: i64) -> f64 {
    (i * 7 + series as i64) as f64
}

/// Writes sample `i` of every series.
fn write(varve: &Varve, i: i64) {
    let all = (0..SERIES)
        .map(|s| {
            let id = format!("{s}");
            series(&[("__name__", "seam"), ("id", &id)], &[(T0 + i * STEP, value(s, i))])
        })
        .collect();
    let answer = send(&varve.write_url(), "t", body(all));
    assert_eq!(answer.status / 100, 2, "write {i}: {}", answer.body);
}

/// Asks for every sample up to `i`, which were all acknowledged.
fn check(url: &str, i: i64) -> Result<u64, String> {
    let time = format!("{}", (T0 + i * STEP) / 1000);
    let params = [("query", "seam[1d]"), ("time", time.as_str())];
    let request = http::client().get(url).query(&params).header("X-Scope-OrgID", "t");
    let answer = http::send(request);
    if answer.status != 200 {
        return Err(format!("status {}: {}", answer.status, answer.body));
    }
    let data = answer.json();
    let result = data["data"]["result"].as_array().cloned().unwrap_or_default();
    if result.len() != SERIES {
        return Err(format!("{} series up to sample {i}", result.len()));
    }
    for one in &result {
        let id: usize = one["metric"]["id"].as_str().unwrap_or_default().parse().unwrap_or(999);
        let values = one["values"].as_array().cloned().unwrap_or_default();
        if values.len() as i64 != i + 1 {
            return Err(format!("series {id} has {} samples of {}", values.len(), i + 1));
        }
        for (n, v) in (0..).zip(&values) {
            let expected = serde_json::json!([(T0 + n * STEP) / 1000, format!("{}", value(id, n))]);
            if *v != expected {
                return Err(format!("series {id} sample {n}: {v} in place of {expected}"));
            }
        }
    }
    let coverage = answer.headers.get("x-varve-coverage").cloned().unwrap_or_default();
    let coverage: serde_json::Value = serde_json::from_str(&coverage).unwrap_or_default();
    Ok(coverage["repins"].as_u64().unwrap_or(0))
}

#[test]
fn a_hundred_ships_under_queries_show_no_difference() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path())
        .config("ingester: {hold: 0, seal_interval: 100ms}\n")
        .env("VARVE_FAILPOINTS", "query.between-pin-and-heads=30%sleep(60)")
        .started();
    write(&varve, 0);
    let acknowledged = Arc::new(AtomicI64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (acknowledged, done) = (Arc::clone(&acknowledged), Arc::clone(&done));
            let url = varve.url("/api/v1/query");
            thread::spawn(move || {
                let (mut queries, mut repins) = (0u64, 0u64);
                while !done.load(Ordering::SeqCst) {
                    let i = acknowledged.load(Ordering::SeqCst);
                    repins += check(&url, i).unwrap_or_else(|e| panic!("query {queries}: {e}"));
                    queries += 1;
                }
                (queries, repins)
            })
        })
        .collect();
    for i in 1..=SHIPS {
        write(&varve, i);
        acknowledged.store(i, Ordering::SeqCst);
        assert!(!varve.ship().is_empty(), "ship {i} committed nothing");
    }
    done.store(true, Ordering::SeqCst);
    let (mut queries, mut repins) = (0, 0);
    for reader in readers {
        let (q, r) = reader.join().expect("a reader found a difference");
        (queries, repins) = (queries + q, repins + r);
    }
    println!("{SHIPS} ships, {queries} queries, {repins} pinned anew, 0 differences");
    assert!(queries > SHIPS as u64, "too few queries to show anything: {queries}");
    assert!(repins > 0, "no query met the seam: the failpoint did not hold any up");
    check(&varve.url("/api/v1/query"), SHIPS).expect("the last answer");
}
