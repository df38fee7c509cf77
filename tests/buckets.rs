//! Every kind of bucket under the whole path of a sample: written (late ones
//! too), answered from memory, shipped, answered from blocks, killed with -9
//! and restarted, and answered by a new machine that has only the bucket.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use varve_testkit::{FakeGcs, servers};
use varve_tests::http::{self, Response};
use varve_tests::process::wait_for;
use varve_tests::remote_write::{body, send, series};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SERIES: i64 = 50;
/// Samples of each series that are shipped; a few more are not.
const SHIPPED: i64 = 200;
const ALL: i64 = 210;
/// A two-hour window ends here.
const WINDOW_END: i64 = 1_700_006_400_000;
const STEP: i64 = 15_000;

/// Sample 100 is the last of its window.
fn time(i: i64) -> i64 {
    WINDOW_END + (i - 100) * STEP
}

fn value(id: i64, i: i64) -> f64 {
    (i * 7 + id) as f64 / 10.0
}

/// Writes these samples of every series.
fn write(varve: &Varve, samples: impl Iterator<Item = i64> + Clone) {
    let all = (0..SERIES).map(|id| {
        let samples: Vec<(i64, f64)> = samples.clone().map(|i| (time(i), value(id, i))).collect();
        series(&[("__name__", "kept"), ("id", &id.to_string())], &samples)
    });
    let answer = send(&varve.write_url(), "t", body(all.collect()));
    assert_eq!(answer.status, 204, "write: {}", answer.body);
}

fn get(varve: &Varve, path: &str, params: &[(&str, &str)]) -> Response {
    let request = http::client().get(varve.url(path)).query(params).header("X-Scope-OrgID", "t");
    let answer = http::send(request);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

/// Every series must have exactly the samples below `count`; returns the
/// number of blocks that were read.
fn content(step: &str, varve: &Varve, count: i64) -> u64 {
    let at = format!("{}", time(ALL) / 1000);
    let answer = get(varve, "/api/v1/query", &[("query", "kept[1d]"), ("time", &at)]);
    let result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    assert_eq!(result.len() as i64, SERIES, "{step}: series");
    for one in &result {
        let id: i64 = one["metric"]["id"].as_str().unwrap_or_default().parse().expect("a number");
        let expected: Vec<Value> =
            (0..count).map(|i| json!([time(i) / 1000, format!("{}", value(id, i))])).collect();
        assert_eq!(one["values"], Value::Array(expected), "{step}: series {id}");
    }
    let (start, end) = (format!("{}", time(0) / 1000), format!("{}", time(ALL) / 1000));
    let values = get(varve, "/api/v1/label/id/values", &[("start", &start), ("end", &end)]).json();
    let mut ids: Vec<String> = (0..SERIES).map(|id| id.to_string()).collect();
    ids.sort();
    assert_eq!(values["data"], json!(ids), "{step}: values of the label id");
    let coverage = answer.headers.get("x-varve-coverage").cloned().unwrap_or_default();
    let coverage: Value = serde_json::from_str(&coverage).unwrap_or_default();
    coverage["blocks"].as_u64().unwrap_or(0)
}

/// The `bucket` section of a configuration.
fn section(url: &str, options: &[(&str, &str)]) -> String {
    let mut out = format!("bucket:\n  url: '{url}'\n  client:\n    options:\n");
    for (name, value) in options {
        let _ = writeln!(out, "      {name}: '{value}'");
    }
    out
}

fn config(bucket: &str) -> String {
    format!("ingester: {{hold: 0}}\n{bucket}")
}

/// Written and shipped: the first half of the path, on any bucket.
fn write_and_ship(varve: &Varve) {
    write(varve, (0..SHIPPED).filter(|i| i % 7 != 3));
    write(varve, (0..SHIPPED).filter(|i| i % 7 == 3));
    assert_eq!(content("written", varve, SHIPPED), 0);
    let blocks = varve.ship();
    assert_eq!(blocks.len(), 2, "one block a window: {blocks:?}");
    assert_eq!(content("shipped", varve, SHIPPED), 2);
    assert_eq!(varve.ship(), Vec::<String>::new(), "there is nothing left to ship");
}

/// The whole path on a bucket that outlives the process. `bucket` is the
/// section for the first machine, `again` that for the one that replaces it.
fn check(dir: &Path, bucket: &str, again: &str) -> Varve {
    let mut varve = Varve::new(BINARY, "first", dir).config(&config(bucket)).started();
    write_and_ship(&varve);
    write(&varve, SHIPPED..ALL);
    assert_eq!(content("written on", &varve, ALL), 2);
    varve.kill();
    varve.start();
    assert_eq!(content("killed and restarted", &varve, ALL), 2);
    varve.kill();

    // Numbers of cuts follow the clock's seconds: nobody replaces a machine
    // within one.
    let died = Instant::now();
    let mut other = Varve::new(BINARY, "second", dir).config(&config(again)).started();
    assert_eq!(content("a new machine", &other, SHIPPED), 2);
    write(&other, SHIPPED..ALL);
    wait_for("the second is over", Duration::from_secs(10), || {
        (died.elapsed() > Duration::from_secs(2)).then_some(())
    });
    assert_eq!(other.ship().len(), 1, "the second machine's own samples are of one window");
    assert_eq!(content("a new machine has shipped", &other, ALL), 3);
    other.kill();
    other.start();
    assert_eq!(content("a new machine, killed and restarted", &other, ALL), 3);
    other
}

#[test]
fn memory() {
    let dir = tempfile::tempdir().expect("make a folder");
    let bucket = section("memory://whole/prefix", &[]);
    let varve = Varve::new(BINARY, "varve", dir.path()).config(&config(&bucket)).started();
    write_and_ship(&varve);
    write(&varve, SHIPPED..ALL);
    assert_eq!(content("written on", &varve, ALL), 2);
}

/// The default, a folder of the data folder; and its catalog made anew.
#[test]
fn local_folder() {
    let dir = tempfile::tempdir().expect("make a folder");
    let folder = dir.path().join("first-data/bucket");
    let again = section(&format!("file://{}", folder.display()), &[]);
    let mut varve = check(dir.path(), "", &again);
    varve.terminate();

    std::fs::remove_dir_all(folder.join("t/catalog")).expect("the catalog is there");
    let rebuilt = Command::new(BINARY)
        .args(["tools", "bucket", "rebuild-catalog", "--config-file"])
        .arg(dir.path().join("second.yaml"))
        .output()
        .expect("run varve");
    let said = String::from_utf8_lossy(&rebuilt.stdout);
    assert!(rebuilt.status.success(), "{said}{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert!(said.contains("tenant t: version ") && said.contains(" lists 3 blocks"), "{said}");
    varve.start();
    assert_eq!(content("catalog rebuilt", &varve, ALL), 3);
    // The catalog goes on from there.
    let late = series(&[("__name__", "late")], &[(time(ALL), 1.0)]);
    assert_eq!(send(&varve.write_url(), "t", body(vec![late])).status, 204);
    assert_eq!(varve.ship().len(), 1);
    assert_eq!(content("shipped after the rebuild", &varve, ALL), 3, "the fourth is not theirs");
    let at = format!("{}", time(ALL) / 1000);
    let answer = get(&varve, "/api/v1/query", &[("query", "late"), ("time", &at)]).json();
    assert_eq!(answer["data"]["result"][0]["value"][1], "1", "{answer}");
}

#[test]
fn s3() {
    let Some(server) = servers::moto("whole") else { return };
    let server = server.expect("start moto");
    let dir = tempfile::tempdir().expect("make a folder");
    let bucket = section(
        "s3://whole/some/prefix",
        &[
            ("aws_endpoint", &server.url()),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "test"),
            ("aws_secret_access_key", "test"),
            ("allow_http", "true"),
        ],
    );
    check(dir.path(), &bucket, &bucket);
}

#[test]
fn azure() {
    let Some(server) = servers::azurite("whole") else { return };
    let server = server.expect("start azurite");
    let dir = tempfile::tempdir().expect("make a folder");
    let bucket = section(
        "az://whole/some/prefix",
        &[
            ("azure_storage_account_name", servers::AZURITE_ACCOUNT),
            ("azure_storage_account_key", servers::AZURITE_KEY),
            ("azure_storage_endpoint", &format!("{}/{}", server.url(), servers::AZURITE_ACCOUNT)),
            ("allow_http", "true"),
        ],
    );
    check(dir.path(), &bucket, &bucket);
}

#[test]
fn gcs() {
    let runtime = tokio::runtime::Runtime::new().expect("build a runtime");
    let server = runtime.block_on(FakeGcs::start()).expect("start the fake");
    let dir = tempfile::tempdir().expect("make a folder");
    let key = server.service_account_key();
    let options = [("google_service_account_key", key.as_str()), ("allow_http", "true")];
    let bucket = section("gs://whole/some/prefix", &options);
    check(dir.path(), &bucket, &bucket);
    assert!(server.requests() > 20, "{} requests", server.requests());
}
