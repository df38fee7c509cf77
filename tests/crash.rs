//! A crash at each step of sealing and shipping: the process ends at a named
//! place, starts again, and has everything it acknowledged, once; what the
//! crash left in the bucket is found by collection.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use varve_tests::http;
use varve_tests::process::wait_for;
use varve_tests::remote_write::{body, send, series};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const T0: i64 = 1_700_000_000_000;

/// Collection is quick here, so that orphans can be seen to go, and so are seals.
const CONFIG: &str = "ingester: {hold: 0, seal_interval: 2s}\ncompactor: {interval: 1s}\ncatalog: {fresh_ms: 100, pin_ms: 1000, grace_ms: 2000, orphan_ms: 8000, commit_ms: 1000}\n";

const PLACES: [&str; 12] = [
    "seal.before-manifest",
    "seal.after-manifest",
    "seal.before-purge",
    "ship.before-build",
    "ship.after-upload-some",
    "ship.before-commit",
    "catalog.before-manifest",
    "catalog.after-manifest",
    "catalog.after-floor-check",
    "ship.after-commit",
    "ship.before-shipped",
    "ship.after-shipped",
];

/// Writes samples `from..to` of fifty series; whether they were acknowledged.
fn write(varve: &Varve, from: i64, to: i64) -> bool {
    let all = (0..50)
        .map(|s| {
            let id = format!("{s}");
            let samples: Vec<(i64, f64)> =
                (from..to).map(|i| (T0 + i * 1000, (i * 3 + s) as f64 / 10.0)).collect();
            series(&[("__name__", "crash"), ("id", &id)], &samples)
        })
        .collect();
    send(&varve.write_url(), "t", body(all)).status / 100 == 2
}

/// The whole content as the API gives it, and the number of blocks read.
fn content(varve: &Varve, last: i64) -> (serde_json::Value, u64) {
    let time = format!("{}", (T0 + last * 1000) / 1000);
    let params = [("query", "crash[1d]"), ("time", time.as_str())];
    let request =
        http::client().get(varve.url("/api/v1/query")).query(&params).header("X-Scope-OrgID", "t");
    let answer = http::send(request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let coverage = answer.headers.get("x-varve-coverage").cloned().unwrap_or_default();
    let coverage: serde_json::Value = serde_json::from_str(&coverage).unwrap_or_default();
    (answer.json()["data"]["result"].clone(), coverage["blocks"].as_u64().unwrap_or(0))
}

fn check(place: &str, varve: &Varve, samples: i64) -> u64 {
    let (result, blocks) = content(varve, samples - 1);
    let all = result.as_array().cloned().unwrap_or_default();
    assert_eq!(all.len(), 50, "{place}: series");
    for one in &all {
        let id: i64 = one["metric"]["id"].as_str().unwrap_or_default().parse().expect("a number");
        let values = one["values"].as_array().cloned().unwrap_or_default();
        let expected: Vec<serde_json::Value> = (0..samples)
            .map(|i| {
                let v = (i * 3 + id) as f64 / 10.0;
                serde_json::json!([(T0 + i * 1000) / 1000, format!("{v}")])
            })
            .collect();
        assert_eq!(values, expected, "{place}: series {id}");
    }
    blocks
}

fn folders(dir: &Path) -> BTreeSet<String> {
    let Ok(list) = std::fs::read_dir(dir) else { return BTreeSet::new() };
    // A folder without files is no object; only a local bucket has such.
    list.filter_map(Result::ok)
        .filter(|e| std::fs::read_dir(e.path()).is_ok_and(|mut d| d.next().is_some()))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_crash_at_any_step_loses_and_duplicates_nothing() {
    for place in PLACES {
        let dir = tempfile::tempdir().expect("make a folder");
        let mut varve = Varve::new(BINARY, "varve", dir.path()).config(CONFIG).started();
        assert!(write(&varve, 0, 100));
        assert!(!varve.ship().is_empty());
        varve.kill();

        varve.set_env("VARVE_FAILPOINTS", &format!("{place}=exit"));
        varve.start();
        let acknowledged = write(&varve, 100, 200);
        // A seal passes its places by itself; only a ship passes the others.
        if !place.starts_with("seal.") {
            let answer = varve.try_ship();
            assert_ne!(answer.status, 200, "{place}: not passed by a ship: {}", answer.body);
        }
        varve.wait_for_end();

        varve.set_env("VARVE_FAILPOINTS", "");
        varve.start();
        if acknowledged {
            check(place, &varve, 200);
        }
        // What a sender was not told of it sends again.
        assert!(write(&varve, 100, 200), "{place}: the repetition");
        check(place, &varve, 200);
        varve.ship();
        let blocks = check(place, &varve, 200);
        assert!(blocks >= 2, "{place}: {blocks} blocks");

        // What the crash left in the bucket goes; what is listed stays.
        let dir = varve.data_dir().join("bucket/t/blocks");
        wait_for(&format!("{place}: orphans are collected"), Duration::from_secs(40), || {
            (folders(&dir).len() as u64 == blocks).then_some(())
        });
        assert_eq!(check(place, &varve, 200), blocks, "{place}: after collection");
    }
}
