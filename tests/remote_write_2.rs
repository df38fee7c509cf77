//! Prometheus 3.15's own sender: its storage holds floats, histograms of
//! every kind, exemplars, metadata and start timestamps, and its queue manager
//! sends them on by remote write 2.0. Everything must arrive; and the
//! `Written` headers must be exact, also when a part is refused.

use std::time::Duration;

use prost::Message;
use varve_model::TimeRange;
use varve_runtime::{Clock, SystemClock};
use varve_tests::compare::{ask_both, samples};
use varve_tests::http;
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::process::wait_for;
use varve_tests::remote_write::{compress, send_as};
use varve_tests::varve::Varve;
use varve_wire::prompb::v2;
use varve_wire::v1;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const STEP: i64 = 4000;
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn now_ms() -> i64 {
    SystemClock.now_ms()
}

#[test]
fn everything_that_prometheus_sends_arrives() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).config("ingester: {hold: 0}\n").started();
    let forward = Some((varve.write_url(), "v2"));
    let options = OracleOptions { forward, ..OracleOptions::default() };
    let Some(mut judge) = Oracle::start(dir.path(), &options) else { return };

    // 118 samples of each series. The sender passes over what is older than
    // itself, so they lie in the next minutes, within what Varve takes of the
    // future.
    let start = (now_ms() / STEP + 2) * STEP;
    let end = start + 117 * STEP;
    let sent = judge.generate(start, end, STEP);
    assert_eq!(sent, 9 * 2 * 118);
    let time = format!("{}", end / 1000);
    let last = [("query", "count(last_over_time({__name__=~\"gen_.+\"}[1s]))"), ("time", &time)];
    wait_for("the last samples arrive", Duration::from_secs(60), || {
        let answer = http::get(&varve.url("/api/v1/query"), &last).json();
        (answer["data"]["result"][0]["value"][1] == "18").then_some(())
    });

    for step in ["recent", "shipped"] {
        if step == "shipped" {
            assert!(!varve.ship().is_empty());
        }
        let (from, to) = (format!("{}", start / 1000), format!("{}", end / 1000));
        for metric in [
            "gen_counter_total",
            "gen_gauge",
            "gen_decimal",
            "gen_stale",
            "gen_exponential",
            "gen_exponential_float",
            "gen_exponential_gauge",
            "gen_custom",
            "gen_custom_float",
        ] {
            let raw = format!("{metric}[15m]");
            let queries = [
                ("/api/v1/query", vec![("query", metric), ("time", to.as_str())]),
                ("/api/v1/query", vec![("query", raw.as_str()), ("time", to.as_str())]),
                (
                    "/api/v1/query_range",
                    vec![("query", metric), ("start", &from), ("end", &to), ("step", "4")],
                ),
            ];
            for (path, params) in &queries {
                let data = ask_both(&varve.url(""), judge.url(), path, params)
                    .unwrap_or_else(|e| panic!("{step}: {path} {params:?}: {e}"));
                assert!(samples(&data) > 0, "{step}: {path} {params:?}: no data");
            }
        }
        let range = [("query", "{__name__=~\"gen_.+\"}"), ("start", &from), ("end", &to)];
        exemplars_equal(&varve, &judge, &range);
        metadata_is_there(&varve);
    }
    start_timestamps_are_there(&varve, start, end);
}

fn exemplars_equal(varve: &Varve, judge: &Oracle, range: &[(&str, &str)]) {
    let sorted = |url: &str| {
        let answer = http::get(&format!("{url}/api/v1/query_exemplars"), range);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut list = answer.json()["data"].as_array().cloned().unwrap_or_default();
        list.sort_by_key(|s| s["seriesLabels"].to_string());
        list
    };
    let (ours, theirs) = (sorted(&varve.url("")), sorted(judge.url()));
    assert_eq!(theirs.len(), 4);
    assert_eq!(ours, theirs);
}

fn metadata_is_there(varve: &Varve) {
    let answer = http::get(&varve.url("/api/v1/metadata"), &[]).json();
    for (metric, kind) in
        [("gen_counter_total", "counter"), ("gen_gauge", "gauge"), ("gen_custom", "histogram")]
    {
        let expected = serde_json::json!([{
            "type": kind, "help": format!("Help of {metric}."), "unit": "units",
        }]);
        assert_eq!(answer["data"][metric], expected, "{metric}: {answer}");
    }
}

/// No function of the language shows start timestamps yet, so they are read
/// where the querier reads them: over `Store.Select`.
fn start_timestamps_are_there(varve: &Varve, start: i64, end: i64) {
    let runtime = tokio::runtime::Runtime::new().expect("build a runtime");
    let address = format!("http://{}", varve.grpc_address());
    let starts = runtime.block_on(async {
        let mut client =
            v1::store_client::StoreClient::connect(address).await.expect("connect to varve");
        let scope = v1::Scope {
            tenant: "anonymous".to_owned(),
            start: start - 1,
            end,
            ..v1::Scope::default()
        };
        let matcher = v1::Matcher {
            name: "__name__".to_owned(),
            value: "gen_counter_total".to_owned(),
            ..v1::Matcher::default()
        };
        let request = v1::SelectRequest { scope: Some(scope), matchers: vec![matcher] };
        let mut frames = client.select(request).await.expect("select").into_inner();
        let mut starts = Vec::new();
        while let Some(frame) = frames.message().await.expect("a frame") {
            for series in varve_query::frames::read_frame(frame).expect("a valid frame").series {
                let (floats, _) = series.decode(TimeRange::ALL).expect("decodes");
                starts.push((0..floats.len()).map(|i| floats.start(i)).collect::<Vec<_>>());
            }
        }
        starts
    });
    // The generator restarts the counter every 20 samples.
    let expected: Vec<i64> = (0..118).map(|i| start + (i - i % 20) * STEP - 1).collect();
    assert_eq!(starts.len(), 2);
    assert!(starts.iter().all(|s| *s == expected), "{starts:?}");
}

#[test]
fn written_headers_are_exact() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).started();
    let now = now_ms();
    let symbols = ["", "__name__", "a", "b", "c", "trace_id", "x"].map(str::to_owned).to_vec();
    let series = |name: u32, samples: &[(i64, f64)]| v2::TimeSeries {
        labels_refs: vec![1, name],
        samples: samples
            .iter()
            .map(|(timestamp, value)| v2::Sample {
                timestamp: *timestamp,
                value: *value,
                ..v2::Sample::default()
            })
            .collect(),
        ..v2::TimeSeries::default()
    };
    let far = now + 3_600_000;
    let exemplar = v2::Exemplar { labels_refs: vec![5, 6], value: 1.0, timestamp: now };
    let with_exemplar =
        v2::TimeSeries { exemplars: vec![exemplar], ..series(3, &[(now, 1.0), (now + 1, 2.0)]) };
    let cases: [(&str, Vec<v2::TimeSeries>, u16, [&str; 3]); 4] = [
        ("all taken", vec![series(2, &[(now, 1.0)]), with_exemplar], 204, ["3", "0", "1"]),
        ("the same again", vec![series(2, &[(now, 1.0)])], 204, ["1", "0", "0"]),
        (
            "a neighbour in the far future",
            vec![series(2, &[(now + 1, 1.0)]), series(4, &[(far, 1.0)])],
            400,
            ["1", "0", "0"],
        ),
        ("another value at the same time", vec![series(2, &[(now, 5.0)])], 400, ["0", "0", "0"]),
    ];
    for (what, timeseries, status, written) in cases {
        let request = v2::Request { symbols: symbols.clone(), timeseries };
        let body = compress(&request.encode_to_vec());
        let answer = send_as(&varve.write_url(), "t", V2, body);
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        for (kind, expected) in ["samples", "histograms", "exemplars"].iter().zip(written) {
            let header = format!("x-prometheus-remote-write-{kind}-written");
            let found = answer.headers.get(&header).map(String::as_str);
            assert_eq!(found, Some(expected), "{what}: {header}");
        }
    }
}
