//! Retention: when a tenant's samples are past what it keeps, their blocks
//! leave the catalog by a commit, and their files the bucket; other tenants'
//! stay. The limit is set while the process runs.

use std::path::Path;
use std::time::Duration;

use varve_tests::http;
use varve_tests::process::wait_for;
use varve_tests::remote_write::{body, send, series};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const T0: i64 = 1_700_000_000_000;

fn samples(varve: &Varve, tenant: &str) -> usize {
    let time = format!("{}", T0 / 1000 + 100);
    let request = http::client()
        .get(varve.url("/api/v1/query"))
        .query(&[("query", "kept[1h]"), ("time", &time)])
        .header("X-Scope-OrgID", tenant);
    let answer = http::send(request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    answer["data"]["result"][0]["values"].as_array().map_or(0, Vec::len)
}

fn files(dir: &Path) -> usize {
    let Ok(list) = std::fs::read_dir(dir) else { return 0 };
    list.filter_map(Result::ok).map(|e| if e.path().is_dir() { files(&e.path()) } else { 1 }).sum()
}

#[test]
fn blocks_past_retention_go_and_others_stay() {
    let dir = tempfile::tempdir().expect("make a folder");
    let limits = dir.path().join("limits.yaml");
    std::fs::write(&limits, "defaults: {}\n").expect("write limits");
    let config = format!(
        "ingester: {{hold: 0, seal_interval: 500ms}}\ncompactor: {{interval: 1s}}\nlimits: {{file: '{}'}}\ncatalog: {{fresh_ms: 100, pin_ms: 1000, grace_ms: 2000, orphan_ms: 8000}}\n",
        limits.display()
    );
    let varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    let points: Vec<(i64, f64)> = (0..100).map(|i| (T0 + i * 1000, i as f64)).collect();
    for tenant in ["short", "long"] {
        let request = body(vec![series(&[("__name__", "kept")], &points)]);
        assert_eq!(send(&varve.write_url(), tenant, request).status / 100, 2);
    }
    assert_eq!(varve.ship().len(), 2);
    assert_eq!((samples(&varve, "short"), samples(&varve, "long")), (100, 100));

    std::fs::write(&limits, "tenants: {short: {retention: 1d}}\n").expect("write limits");
    wait_for("the blocks leave the catalog", Duration::from_secs(30), || {
        (samples(&varve, "short") == 0).then_some(())
    });
    let blocks = varve.data_dir().join("bucket/short/blocks");
    wait_for("their files leave the bucket", Duration::from_secs(30), || {
        (files(&blocks) == 0).then_some(())
    });
    assert_eq!(samples(&varve, "long"), 100);

    // What is past retention is refused from now on, by name.
    let request = body(vec![series(&[("__name__", "kept")], &[(T0 + 200_000, 1.0)])]);
    let answer = send(&varve.write_url(), "short", request);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("retention"), "{}", answer.body);
}
