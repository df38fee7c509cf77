//! What Varve stands on fails it: the disk is full, the bucket is away.
//! Whatever is not acknowledged is refused so that senders repeat it; what is
//! acknowledged is never lost, and an answer is complete or an error.

use std::time::{Duration, Instant};

use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};
use varve_runtime::{Clock, SystemClock};
use varve_testkit::FakeGcs;
use varve_tests::http::{self, Response};
use varve_tests::process::wait_for;
use varve_tests::proxy::Proxy;
use varve_tests::remote_write::{body, send, series};
use varve_tests::report::report;
use varve_tests::tmpfs::Tmpfs;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const T0: i64 = 1_700_000_000_000;
const SOON: Duration = Duration::from_secs(30);
/// How often an ingester looks at its disk.
const LOOK: Duration = Duration::from_secs(1);

/// A bucket behind a wire that can be cut.
struct Away {
    /// The part of a configuration that names it.
    bucket: String,
    wire: Proxy,
    _server: FakeGcs,
    _runtime: tokio::runtime::Runtime,
}

impl Away {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("build a runtime");
        let server = runtime.block_on(FakeGcs::start()).expect("start the fake");
        let address = server.url().trim_start_matches("http://").parse().expect("an address");
        let wire = Proxy::start(address).expect("start the proxy");
        let key = server.service_account_key().replace(server.url(), &wire.url());
        let bucket = format!(
            "bucket:\n  url: gs://away\n  client:\n    timeout_seconds: 2\n    max_retries: 2\n    options: {{allow_http: 'true', google_service_account_key: '{key}'}}\n"
        );
        Self { bucket, wire, _server: server, _runtime: runtime }
    }
}

fn ask(varve: &Varve, base: i64, query: &str) -> Response {
    let at = format!("{}", base / 1000 + 600);
    let params = [("query", query), ("time", at.as_str())];
    let request =
        http::client().get(varve.url("/api/v1/query")).query(&params).header("X-Scope-OrgID", "t");
    http::send(request)
}

/// Series of one bulky request.
const BULK: usize = 60;

/// Writes one request that takes about 350 KB of disk: new series with labels
/// that do not compress, all named by `k`, with samples from `base` on.
fn bulky(varve: &Varve, base: i64, k: usize) -> Response {
    let name = k.to_string();
    let all = (0..BULK).map(|n| {
        let noise: Vec<String> =
            (0..3).map(|_| Alphanumeric.sample_string(&mut rand::rng(), 2000)).collect();
        let id = n.to_string();
        let labels = [
            ("__name__", "bulky"),
            ("k", name.as_str()),
            ("n", id.as_str()),
            ("x", noise[0].as_str()),
            ("y", noise[1].as_str()),
            ("z", noise[2].as_str()),
        ];
        series(&labels, &[(base + 1000, (k * n) as f64), (base + 2000, (k + n) as f64)])
    });
    send(&varve.write_url(), "t", body(all.collect()))
}

/// Everything that was acknowledged must be there, whole.
fn all_there(step: &str, varve: &Varve, base: i64, acknowledged: &[usize]) {
    let sum = |per: &dyn Fn(usize, usize) -> usize| {
        let all = acknowledged.iter();
        all.map(|k| (*k, (0..BULK).map(|n| per(*k, n)).sum::<usize>())).collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("sum by (k) (count_over_time(bulky[1h]))", sum(&|_, _| 2)),
        ("sum by (k) (sum_over_time(bulky[1h]))", sum(&|k, n| k * n + k + n)),
    ] {
        let answer = ask(varve, base, query);
        assert_eq!(answer.status, 200, "{step}: {}", answer.body);
        let result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
        for (k, value) in expected {
            let found = result.iter().find(|s| s["metric"]["k"] == json!(k.to_string()));
            let found = found.map_or(Value::Null, |s| s["value"][1].clone());
            assert_eq!(found, json!(value.to_string()), "{step}: {query}: request {k}");
        }
    }
}

/// Writes requests of new series from number `first` on until refusals outlast
/// two looks at the disk (between looks its filling is estimated, on the safe
/// side); gives the last refusal.
fn fill(varve: &Varve, base: i64, first: usize, acknowledged: &mut Vec<usize>) -> Response {
    let mut since = None;
    for k in first..first + 1000 {
        let answer = bulky(varve, base, k);
        if answer.status == 204 {
            acknowledged.push(k);
            since = None;
            continue;
        }
        assert_eq!(answer.status, 503, "request {k}: {}", answer.body);
        // On a slow machine the request's time may be over before the reason is.
        if !answer.body.contains("full") {
            continue;
        }
        if since.get_or_insert_with(Instant::now).elapsed() > 2 * LOOK {
            return answer;
        }
        std::thread::sleep(LOOK / 4);
    }
    panic!("the disk never filled")
}

/// Waits until writes are taken again, and sends some more.
fn taken_again(step: &str, varve: &Varve, base: i64, first: usize, acknowledged: &mut Vec<usize>) {
    let mut next = first;
    wait_for(&format!("{step}: writes are taken again"), SOON, || {
        next += 1;
        (bulky(varve, base, next).status == 204).then_some(())
    });
    acknowledged.push(next);
    for k in next + 1..next + 6 {
        let answer = bulky(varve, base, k);
        assert_eq!(answer.status, 204, "{step}: no room for {k}: {}", answer.body);
        acknowledged.push(k);
    }
}

/// A disk that others have filled but for a little; what is refused says why
/// and when to try again. Then it is killed and started while full, and gets
/// room again.
fn check_full_disk(name: &str, settings: &str, says: &str) {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path());
    let Some(_disk) = Tmpfs::mount(&varve.data_dir(), 40) else { return };
    let config = format!(
        "ingester: {{log_segment: 1MiB, {settings}}}\ndistributor: {{request_timeout: 1s, retry_after: 3s}}\nbucket: {{url: '{}'}}\n",
        dir.path().join("bucket").display()
    );
    let mut varve = varve.config(&config).started();
    let there = |step: &str, varve: &Varve, acknowledged: &[usize]| {
        all_there(&format!("{name}: {step}"), varve, T0, acknowledged);
    };

    let mut acknowledged = Vec::new();
    for k in 0..2 {
        assert_eq!(bulky(&varve, T0, k).status, 204, "{name}: request {k}");
        acknowledged.push(k);
    }
    let filler = varve.data_dir().join("filler");
    std::fs::write(&filler, vec![1; 36 << 20]).expect("write the filler");
    let refused = fill(&varve, T0, 100, &mut acknowledged);
    assert_eq!(refused.headers.get("retry-after").map(String::as_str), Some("3"), "{name}");
    assert!(refused.body.contains(says), "{name}: no {says:?} in: {}", refused.body);
    // Full is not broken: it goes on refusing, and answering.
    assert_eq!(bulky(&varve, T0, 1000).status, 503, "{name}");
    there("full", &varve, &acknowledged);
    varve.process().must_run();

    varve.kill();
    varve.start();
    there("killed while full", &varve, &acknowledged);

    std::fs::remove_file(&filler).expect("remove the filler");
    taken_again(name, &varve, T0, 2000, &mut acknowledged);
    there("room again", &varve, &acknowledged);
    varve.kill();
    varve.start();
    there("killed with room", &varve, &acknowledged);
    varve.ship();
    there("shipped", &varve, &acknowledged);
}

#[test]
fn a_disk_above_its_high_water_mark_refuses_and_recovers() {
    check_full_disk("high water", "disk_high_water: 0.95", "ingester.disk_high_water");
}

#[test]
fn a_disk_without_any_room_refuses_and_recovers() {
    // The log says so, or who looked at the disk a moment later.
    check_full_disk("no room", "disk_high_water: 1.0", "full");
}

/// The bucket is away until a disk of 64 MiB is full of new series, whose
/// labels a seal writes again, and a block twice. There is room for both
/// nevertheless, so that all recovers when the bucket is back.
fn check_small_disk(name: &str, base: i64) {
    let away = Away::start();
    let config = format!(
        "ingester: {{log_segment: 1MiB, disk_high_water: 0.7, seal_interval: 2s, ship_max_backoff: 2s}}\ndistributor: {{request_timeout: 1s}}\n{}",
        away.bucket
    );
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path());
    let Some(_disk) = Tmpfs::mount(&varve.data_dir(), 64) else { return };
    let mut varve = varve.config(&config).started();
    away.wire.cut();
    let mut acknowledged = Vec::new();
    let refused = fill(&varve, base, 0, &mut acknowledged);
    assert!(refused.body.contains("ingester.disk_high_water"), "{name}: {}", refused.body);
    assert!(acknowledged.len() > 30, "{name}: full after {} requests", acknowledged.len());
    report(format!("{name}: {} requests of 350 KB on 64 MiB", acknowledged.len()));
    varve.kill();
    varve.start();
    fill(&varve, base, 1000, &mut acknowledged);

    away.wire.join();
    taken_again(name, &varve, base, 2000, &mut acknowledged);
    all_there(&format!("{name}: the bucket is back"), &varve, base, &acknowledged);
    varve.kill();
    varve.start();
    all_there(&format!("{name}: killed"), &varve, base, &acknowledged);
    let metrics = http::get(&varve.url("/metrics"), &[]).body;
    let failed = metrics.lines().find(|l| l.starts_with("varve_ingester_seal_failures_total"));
    assert_eq!(failed, Some("varve_ingester_seal_failures_total 0"), "{name}: seals had no room");
}

#[test]
fn a_small_disk_recovers_when_the_bucket_is_back() {
    check_small_disk("a window that is over", T0);
}

#[test]
fn a_small_disk_recovers_while_its_window_is_open() {
    check_small_disk("an open window", SystemClock.now_ms() - 600_000);
}

const SERIES: i64 = 20;

/// Writes samples `from..to` of every series.
fn write(varve: &Varve, from: i64, to: i64) {
    let all = (0..SERIES).map(|id| {
        let samples: Vec<(i64, f64)> =
            (from..to).map(|i| (T0 + i * 1000, (i * 3 + id) as f64)).collect();
        series(&[("__name__", "away"), ("id", &id.to_string())], &samples)
    });
    let answer = send(&varve.write_url(), "t", body(all.collect()));
    assert_eq!(answer.status, 204, "write {from}..{to}: {}", answer.body);
}

/// An answer that is exact, with the number of blocks read, or a clear 503.
fn complete_or_error(step: &str, varve: &Varve, samples: i64) -> Option<u64> {
    let answer = ask(varve, T0, "away[1h]");
    if answer.status != 200 {
        assert_eq!(answer.status, 503, "{step}: {}", answer.body);
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("catalog") || error.contains("bucket"), "{step}: {error}");
        return None;
    }
    let result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    assert_eq!(result.len() as i64, SERIES, "{step}: series");
    for one in &result {
        let id: i64 = one["metric"]["id"].as_str().unwrap_or_default().parse().expect("a number");
        let expected: Vec<Value> =
            (0..samples).map(|i| json!([T0 / 1000 + i, (i * 3 + id).to_string()])).collect();
        assert_eq!(one["values"], Value::Array(expected), "{step}: series {id}");
    }
    let coverage = answer.headers.get("x-varve-coverage").cloned().unwrap_or_default();
    let coverage: Value = serde_json::from_str(&coverage).unwrap_or_default();
    Some(coverage["blocks"].as_u64().unwrap_or(0))
}

#[test]
fn a_bucket_that_is_away_loses_nothing() {
    let away = Away::start();
    let config = format!("ingester: {{hold: 0}}\n{}", away.bucket);
    let dir = tempfile::tempdir().expect("make a folder");
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    write(&varve, 0, 50);
    assert_eq!(varve.ship().len(), 1);
    write(&varve, 50, 100);
    assert_eq!(complete_or_error("before", &varve, 100), Some(1));

    away.wire.cut();
    let ship = |step: &str, varve: &Varve| {
        let answer = varve.try_ship();
        assert_eq!(answer.status, 503, "{step}: {}", answer.body);
        assert!(answer.body.contains("ship: "), "{step}: {}", answer.body);
    };
    ship("away", &varve);
    complete_or_error("away", &varve, 100);
    write(&varve, 100, 150);
    ship("away, written on", &varve);
    complete_or_error("away, written on", &varve, 150);
    varve.process().must_run();

    // A start without the bucket: writes are taken at once.
    varve.kill();
    varve.start();
    write(&varve, 150, 200);
    ship("started without it", &varve);
    complete_or_error("started without it", &varve, 200);

    away.wire.join();
    wait_for("the bucket is back", SOON, || (varve.try_ship().status == 200).then_some(()));
    let blocks = complete_or_error("back", &varve, 200);
    assert!(blocks > Some(1), "{blocks:?}");
    varve.kill();
    varve.start();
    assert_eq!(complete_or_error("back, killed and restarted", &varve, 200), blocks);
}
