//! Label and series calls over ten thousand blocks: what they answer, the CPU
//! that they take, and the memory of the process meanwhile.
//!
//! One block is made by Varve itself; the others are its files under other
//! names, in windows of their own, and a catalog rebuilt over all.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use varve_runtime::{Clock, SystemClock};
use varve_tests::client::Client;
use varve_tests::remote_write::{body, send, series};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const BLOCKS: u128 = 10_000;
const WINDOW: i64 = 7_200_000;
/// Blocks of one window.
const PARTITIONS: u128 = 4;
/// Enough for a vocabulary file of its own.
const SERIES: usize = 2000;

/// Base 32 as in ULIDs.
fn ulid(ms: i64, random: u128) -> String {
    let all = (ms as u128) << 80 | random;
    let digit =
        |i: u32| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(all >> (5 * i)) as usize & 31]);
    (0..26).rev().map(digit).collect()
}

/// One block of [`SERIES`] series, as Varve ships it.
fn one_block(dir: &Path, bucket: &Path, time: i64) {
    let mut varve = Varve::new(BINARY, "writer", dir).bucket(&bucket.to_string_lossy()).started();
    let all = (0..SERIES).map(|i| {
        let labels = [
            ("__name__", format!("metric_{:02}_total", i % 50)),
            ("cluster", "c1".to_owned()),
            ("namespace", format!("ns-{}", i % 7)),
            ("job", format!("job-{}", i % 5)),
            ("pod", format!("pod-{:05}", i / 10)),
        ];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
        series(&labels, &[(time, i as f64)])
    });
    let sent = send(&varve.write_url(), "anonymous", body(all.collect()));
    assert_eq!(sent.status, 204, "{}", sent.body);
    assert_eq!(varve.ship().len(), 1);
    varve.terminate();
}

/// The same block in [`BLOCKS`] more places.
fn repeat(bucket: &Path, now: i64) {
    let blocks = bucket.join("anonymous/blocks");
    let first = std::fs::read_dir(&blocks).expect("list").next().expect("a block").expect("entry");
    let json = std::fs::read(first.path().join("block.json")).expect("read block.json");
    let mut meta: Value = serde_json::from_slice(&json).expect("is JSON");
    let files: Vec<String> =
        meta["files"].as_object().expect("an object").keys().cloned().collect();
    for k in 0..BLOCKS {
        let end = now.div_euclid(WINDOW) * WINDOW - (k / PARTITIONS) as i64 * WINDOW;
        let id = ulid(now, k + 1);
        meta["id"] = id.clone().into();
        meta["partition"] = (1 + (k % PARTITIONS) as u64).into();
        meta["range"] = serde_json::json!({"start": end - WINDOW, "end": end});
        meta["min_time"] = (end - 1000).into();
        meta["max_time"] = (end - 1000).into();
        let to = blocks.join(&id);
        std::fs::create_dir(&to).expect("make a folder");
        for file in &files {
            std::fs::hard_link(first.path().join(file), to.join(file)).expect("link");
        }
        std::fs::write(to.join("block.json"), meta.to_string()).expect("write block.json");
    }
    let rebuilt = Command::new(BINARY)
        .args(["tools", "bucket", "rebuild-catalog", "--bucket-url"])
        .arg(bucket)
        .output()
        .expect("run varve");
    let said = String::from_utf8_lossy(&rebuilt.stdout);
    assert!(said.contains("lists 10001 blocks"), "{said}");
}

#[test]
fn label_calls_over_ten_thousand_blocks() {
    let dir = tempfile::tempdir().expect("make a folder");
    let bucket = dir.path().join("bucket");
    let now = SystemClock.now_ms();
    one_block(dir.path(), &bucket, now - 3000);
    repeat(&bucket, now);

    // On a busy machine a read of all blocks may take its time.
    let config = "querier: {timeout: 10m, reads: {call_timeout: 10m}}\n";
    let mut varve = Varve::new(BINARY, "reader", dir.path())
        .bucket(&bucket.to_string_lossy())
        .config(config)
        .started();
    let at_rest = varve.process().memory();
    let client = Client::new("anonymous", Duration::from_secs(600));
    let month = ((now / 1000) - 30 * 86_400).to_string();
    let month = [("start", month.as_str())];
    let job = ("match[]", "{job=\"job-1\"}");
    let one = ("match[]", "metric_01_total");
    // What is asked, how much is answered, and the CPU seconds that it may take.
    type Parameters<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Parameters<'_>, usize, f64); 9] = [
        ("labels", &[], 5, 4.0),
        ("labels", &month, 5, 0.5),
        ("label/pod/values", &[], 200, 3.0),
        ("label/pod/values", &[("limit", "10")], 10, 3.0),
        ("label/namespace/values", &month, 7, 0.5),
        ("label/namespace/values", &[job], 7, 6.0),
        ("labels", &[job, month[0]], 5, 2.0),
        ("series", &[one, ("limit", "10")], 10, 0.5),
        ("series", &[one], 40, 10.0),
    ];
    for (route, params, want, most) in cases {
        let (begun, before) = (Instant::now(), varve.process().cpu());
        let answer = client.get(&varve.url(&format!("/api/v1/{route}")), params);
        let took = (varve.process().cpu() - before).as_secs_f64();
        let results = answer.json()["data"].as_array().map_or(0, Vec::len);
        let name = format!("{route} {params:?}");
        eprintln!("{name}: {results} results, {took:.2} s of CPU, {:?}", begun.elapsed());
        assert_eq!((answer.status, results), (200, want), "{name}: {}", answer.body);
        assert!(took < most, "{name}: {took} s of CPU, the bound is {most}");
    }
    let peak = varve.process().peak_memory();
    let (at_rest, peak) = (at_rest >> 20, peak >> 20);
    eprintln!("{at_rest} MiB at rest, {peak} MiB at most");
    assert!(peak < at_rest + 400, "{peak} MiB at most, {at_rest} at rest");
}
