//! What senders get wrong: bodies that are damaged, too large or no remote
//! write at all, series that are none, tenants that cannot be, limits that
//! are exceeded. Each is refused with a status and a sentence that names the
//! thing, the limit and its setting; what stands beside it is kept.

use std::path::Path;
use std::time::Duration;

use prost::Message;
use varve_runtime::{Clock, SystemClock};
use varve_tests::http::{self, Response};
use varve_tests::process::wait_for;
use varve_tests::remote_write::{body, compress, send, series};
use varve_tests::varve::Varve;
use varve_wire::prompb::{v1, v2};

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// How long a changed file of limits may take to be in force.
const RELOAD: Duration = Duration::from_secs(30);

fn now_ms() -> i64 {
    SystemClock.now_ms()
}

/// POSTs a write with these headers.
fn post(varve: &Varve, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = http::client().post(varve.write_url()).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http::send(request)
}

/// The values of all series of a metric, sorted, as its tenant sees them.
fn values(varve: &Varve, headers: &[(&str, &str)], metric: &str) -> Vec<String> {
    let query = format!("last_over_time({metric}[1h])");
    let mut request = http::client().get(varve.url("/api/v1/query")).query(&[("query", query)]);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = http::send(request);
    assert_eq!(answer.status, 200, "{metric}: {}", answer.body);
    let result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<String> =
        result.iter().map(|s| s["value"][1].as_str().unwrap_or_default().to_owned()).collect();
    values.sort();
    values
}

/// One request of either protocol: series, each with the time of a sample.
fn request(protocol: &str, all: &[(&Vec<(&str, &str)>, i64)], value: f64) -> Vec<u8> {
    if protocol == V1 {
        let timeseries = all.iter().map(|(labels, at)| {
            let labels = labels.iter().map(|(name, value)| v1::Label {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            });
            v1::TimeSeries {
                labels: labels.collect(),
                samples: vec![v1::Sample { timestamp: *at, value }],
                ..Default::default()
            }
        });
        let request = v1::WriteRequest { timeseries: timeseries.collect(), ..Default::default() };
        return request.encode_to_vec();
    }
    let mut symbols = vec![String::new()];
    let mut timeseries = Vec::new();
    for (labels, at) in all {
        let mut labels_refs = Vec::new();
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            labels_refs.push(u32::try_from(symbols.len()).expect("fits"));
            symbols.push((*text).to_owned());
        }
        let samples = vec![v2::Sample { timestamp: *at, value, ..Default::default() }];
        timeseries.push(v2::TimeSeries { labels_refs, samples, ..Default::default() });
    }
    v2::Request { symbols, timeseries }.encode_to_vec()
}

/// A process with small limits, so that small requests exceed them.
fn small(dir: &Path) -> Varve {
    let config = "server: {max_write_body: 128KiB}\nlimits: {inline: {defaults: {max_request_bytes: 64KiB, max_decompressed_bytes: 256KiB, max_label_names_per_series: 10, max_label_name_length: 100, max_label_value_length: 200}}}\n";
    Varve::new(BINARY, "varve", dir).config(config).started()
}

/// A write, the status that it must get, and what the answer must say.
struct Case {
    what: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    says: Vec<&'static str>,
}

/// Bodies of which nothing can be taken.
fn hopeless(protocol: &'static str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |what: &str, body: Vec<u8>, status: u16, says: &[&'static str]| {
        cases.push(Case {
            what: what.to_owned(),
            headers: vec![("Content-Type", protocol), ("Content-Encoding", "snappy")],
            body,
            status,
            says: says.to_vec(),
        });
    };
    let labels = vec![("__name__", "never"), ("job", "cut short")];
    let good = request(protocol, &[(&labels, now_ms())], 1.0);
    for at in [1, good.len() / 3, good.len() / 2, good.len() - 9, good.len() - 1] {
        case(&format!("cut at {at}"), compress(&good[..at]), 400, &["malformed", "at byte"]);
    }
    let packed = compress(&good);
    for at in [0, 1, packed.len() / 2, packed.len() - 1] {
        case(&format!("snappy cut at {at}"), packed[..at].to_vec(), 400, &["not a snappy block"]);
    }
    case("no snappy at all", good, 400, &["not a snappy block"]);
    case("text", b"a_metric 1\n".to_vec(), 400, &["not a snappy block"]);
    let garbage: Vec<u8> = (0..500_u32).map(|i| (i * 151 % 251) as u8).collect();
    case("garbage in snappy", compress(&garbage), 400, &["malformed write request"]);

    let too_long = ["decompresses to", "the limit is 262144", "max_decompressed_bytes"];
    let claims_4_gib = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &packed].concat();
    case("a header that claims 4 GiB", claims_4_gib, 413, &too_long);
    let claims_more = [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], &packed].concat();
    case("a header that claims 4 TiB", claims_more, 400, &["not a snappy block"]);
    let claims_enough = [&[0x80, 0x80, 0x0f][..], &packed].concat();
    case("a header that claims 240 KiB", claims_enough, 400, &["the header claims"]);
    case("a bomb of zeros", compress(&vec![0; 1 << 20]), 413, &too_long);
    if protocol == V2 {
        // Two bytes a symbol: what is made of them takes many times as much.
        let symbols = [0x22, 0x00].repeat(100_000);
        case(
            "a bomb of symbols",
            compress(&symbols),
            413,
            &["once decoded", "max_decompressed_bytes"],
        );
    }
    let noise: Vec<u8> =
        (0..130 << 10).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let too_large = ["request body is", "the limit", "max_request_bytes"];
    case("larger than the tenant may send", noise[..65 << 10].to_vec(), 413, &too_large);
    case("larger than anybody may send", noise, 413, &["the limit", "server.max_write_body"]);

    for (name, value, says) in [
        ("Content-Type", "application/json", "content type \"application/json\""),
        ("Content-Type", "application/x-protobuf;proto=prometheus.Other", "content type"),
        ("Content-Encoding", "gzip", "content encoding \"gzip\""),
        ("Content-Encoding", "zstd", "content encoding \"zstd\""),
    ] {
        let mut headers = vec![("Content-Type", protocol), ("Content-Encoding", "snappy")];
        headers.retain(|(n, _)| *n != name);
        headers.push((name, value));
        let what = format!("{name}: {value}");
        cases.push(Case { what, headers, body: packed.clone(), status: 415, says: vec![says] });
    }
    cases
}

/// What is wrong, the labels, the time from now, and what the message must say.
type SeriesCase = (&'static str, Vec<(String, String)>, i64, Vec<&'static str>);

/// Series that are refused.
fn series_cases() -> Vec<SeriesCase> {
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    };
    let named = |rest: &[(&str, &str)]| {
        let mut all = own(&[("__name__", "refused")]);
        all.extend(own(rest));
        all
    };
    let mut many = named(&[]);
    many.extend((0..10).map(|i| (format!("l{i}"), "x".to_owned())));
    vec![
        ("no name", own(&[("job", "a")]), 0, vec!["missing_metric_name", "job=\"a\"", "__name__"]),
        ("an empty name", own(&[("__name__", "")]), 0, vec!["missing_metric_name"]),
        ("one name twice", named(&[("a", "1"), ("a", "2")]), 0, vec!["duplicate_label", "\"a\""]),
        ("bad UTF-8", named(&[("a", "NOT-UTF-8")]), 0, vec!["invalid_labels", "not UTF-8"]),
        (
            "a long name",
            named(&[(&"n".repeat(101), "x")]),
            0,
            vec!["label_name_too_long", "101 bytes", "the limit is 100", "max_label_name_length"],
        ),
        (
            "a long value",
            named(&[("v", &"x".repeat(201))]),
            0,
            vec![
                "label_value_too_long",
                "\"v\"",
                "201 bytes",
                "the limit is 200",
                "max_label_value_length",
            ],
        ),
        (
            "many labels",
            many,
            0,
            vec!["too_many_labels", "11 labels", "the limit is 10", "max_label_names_per_series"],
        ),
        (
            "the far future",
            named(&[]),
            3_600_000,
            vec!["far_future", "the limit is 600000 ms", "creation_grace_period"],
        ),
    ]
}

/// The same bytes, but for markers that are now no UTF-8.
fn spoil(mut bytes: Vec<u8>) -> Vec<u8> {
    let marker = b"NOT-UTF-8";
    while let Some(at) = bytes.windows(marker.len()).position(|w| w == marker) {
        bytes[at..at + marker.len()].fill(0xff);
    }
    bytes
}

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("Linux says so");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn must_say(what: &str, answer: &Response, status: u16, says: &[&str]) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    for fragment in says {
        assert!(answer.body.contains(fragment), "{what}: no {fragment:?} in: {}", answer.body);
    }
}

#[test]
fn malformed_writes_are_refused_and_their_neighbours_kept() {
    let dir = tempfile::tempdir().expect("make a folder");
    let mut varve = small(dir.path());
    let pid = varve.process().pid();
    let now = now_ms();
    let tenant = [("X-Scope-OrgID", "t")];
    let mut kept = Vec::new();
    let mut good = 0;
    let before = peak_kib(pid);
    for protocol in [V1, V2] {
        let headers = [("Content-Type", protocol), tenant[0]];
        for case in hopeless(protocol) {
            let mut headers = case.headers.clone();
            headers.push(tenant[0]);
            let answer = post(&varve, &headers, case.body);
            must_say(&format!("{protocol}: {}", case.what), &answer, case.status, &case.says);
            // The next request is as welcome as ever.
            good += 1;
            let id = good.to_string();
            let labels = vec![("__name__", "kept"), ("id", id.as_str())];
            let next = request(protocol, &[(&labels, now)], good as f64);
            let answer = post(&varve, &headers_of(protocol), compress(&next));
            assert_eq!(answer.status, 204, "after {}: {}", case.what, answer.body);
            kept.push(id);
        }
        for (what, labels, ahead, says) in series_cases() {
            good += 1;
            let id = good.to_string();
            let mut bad: Vec<(&str, &str)> =
                labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            bad.sort_by_key(|(n, _)| *n);
            let neighbour = vec![("__name__", "kept"), ("id", id.as_str())];
            let value = good as f64;
            // Before and behind what is kept: the place must not matter.
            let all = [(&bad, now + ahead), (&neighbour, now), (&bad, now + ahead)];
            let message = request(protocol, &all, value);
            let answer = post(&varve, &headers, compress(&spoil(message)));
            let what = format!("{protocol}: {what}");
            must_say(&what, &answer, 400, &says);
            must_say(&what, &answer, 400, &["2 refused", "the rest is kept"]);
            kept.push(id);
        }
        let answer = post(&varve, &headers, compress(&[]));
        assert_eq!(answer.status, 204, "{protocol}: an empty request: {}", answer.body);
    }
    kept.sort();
    assert_eq!(values(&varve, &tenant, "kept"), kept);
    for metric in ["never", "refused"] {
        assert_eq!(values(&varve, &tenant, metric), Vec::<String>::new(), "{metric}");
    }
    varve.process().must_run();
    assert_eq!(varve.process().pid(), pid);
    let grown = peak_kib(pid).saturating_sub(before);
    assert!(grown < 96 << 10, "memory has grown by {grown} KiB");
    println!("{good} refusals, memory has grown by {grown} KiB");
}

fn headers_of(protocol: &'static str) -> [(&'static str, &'static str); 2] {
    [("Content-Type", protocol), ("X-Scope-OrgID", "t")]
}

#[test]
fn tenants_are_checked_and_kept_apart() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).started();
    let now = now_ms();
    let one = |value: f64| body(vec![series(&[("__name__", "shared")], &[(now, value)])]);

    let long = "x".repeat(151);
    for (id, says) in [
        ("a/b", "unsupported character '/'"),
        ("a b", "unsupported character ' '"),
        ("..", "reserved"),
        ("__own", "reserved"),
        (long.as_str(), "151 bytes long, the limit is 150"),
    ] {
        let answer = send(&varve.write_url(), id, one(1.0));
        must_say(id, &answer, 400, &["X-Scope-OrgID", says]);
        let query = http::client()
            .get(varve.url("/api/v1/query"))
            .query(&[("query", "1")])
            .header("X-Scope-OrgID", id);
        must_say(id, &http::send(query), 400, &["X-Scope-OrgID"]);
    }
    let odd = post(&varve, &[("Authorization", "Basic %%%")], one(1.0));
    must_say("no base64", &odd, 401, &["basic authentication"]);
    // "beta:" in base64.
    let beta = ("Authorization", "Basic YmV0YTo=");
    let both = post(&varve, &[("X-Scope-OrgID", "alpha"), beta], one(1.0));
    must_say("two tenants", &both, 400, &["two tenants", "alpha", "beta"]);
    let wrong = http::client().post(varve.url("/tenant/a%2Fb/api/v1/write")).body(one(1.0));
    must_say("a path", &http::send(wrong), 400, &["unsupported character"]);

    // By header, by user, by path, by nothing; each in one way, read in all.
    assert_eq!(send(&varve.write_url(), "alpha", one(1.0)).status, 204);
    assert_eq!(post(&varve, &[beta], one(2.0)).status, 204);
    let by_path = http::client().post(varve.url("/tenant/gamma/api/v1/write")).body(one(3.0));
    assert_eq!(http::send(by_path).status, 204);
    assert_eq!(post(&varve, &[], one(4.0)).status, 204);
    for step in ["recent", "shipped"] {
        if step == "shipped" {
            assert_eq!(varve.ship().len(), 4, "a block a tenant");
        }
        for (user, id, value) in [
            ("YWxwaGE6", "alpha", "1"),
            ("YmV0YTo=", "beta", "2"),
            ("Z2FtbWE6", "gamma", "3"),
            ("YW5vbnltb3VzOg==", "anonymous", "4"),
            ("bm9ib2R5Og==", "nobody", ""),
        ] {
            let expected: Vec<&str> = if value.is_empty() { vec![] } else { vec![value] };
            let what = format!("{step}: {id}");
            assert_eq!(values(&varve, &[("X-Scope-OrgID", id)], "shared"), expected, "{what}");
            let user = format!("Basic {user}");
            assert_eq!(values(&varve, &[("Authorization", &user)], "shared"), expected, "{what}");
            let url = varve.url(&format!("/tenant/{id}/api/v1/query"));
            let answer = http::get(&url, &[("query", "sum(last_over_time(shared[1h]))")]).json();
            let found = answer["data"]["result"][0]["value"][1].as_str().unwrap_or_default();
            assert_eq!(found, value, "{what} by path: {answer}");
        }
    }
}

#[test]
fn limits_follow_their_file() {
    let dir = tempfile::tempdir().expect("make a folder");
    let file = dir.path().join("limits.yaml");
    let put = |text: &str| std::fs::write(&file, text).expect("write limits");
    put("defaults: {max_series: 1000}\n");
    let config = format!("limits: {{file: '{}'}}\n", file.display());
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    let now = now_ms();
    let write = |varve: &Varve, tenant: &str, from: i64, to: i64, at: i64| {
        let all = (from..to).map(|id| {
            series(&[("__name__", "limited"), ("id", &id.to_string())], &[(now + at, id as f64)])
        });
        send(&varve.write_url(), tenant, body(all.collect()))
    };
    assert_eq!(write(&varve, "t", 0, 50, 0).status, 204);

    // Fewer than there are: no new one, the old ones go on.
    put("defaults: {max_series: 20}\n");
    let mut next = 50;
    let refused = wait_for("fewer series are in force", RELOAD, || {
        next += 1;
        let answer = write(&varve, "t", next - 1, next, 0);
        (answer.status != 204).then_some(answer)
    });
    must_say("a new series", &refused, 400, &["series_limit", "limited{id=", "20", "max_series"]);
    assert_eq!(write(&varve, "t", 0, 50, 1).status, 204, "what was there goes on");
    let mixed = write(&varve, "t", 49, next, 2);
    assert_eq!(mixed.status, 400, "{}", mixed.body);
    assert_eq!(write(&varve, "other", 0, 20, 0).status, 204, "another tenant has its own count");
    assert_eq!(write(&varve, "other", 20, 21, 0).status, 400);

    // A file that is wrong changes nothing, and the log says so.
    put("defaults: {max_serie: 5}\n");
    wait_for("the wrong file is reported", RELOAD, || {
        let output = varve.process().output();
        (output.contains("limits keep their last values") && output.contains("max_series"))
            .then_some(())
    });
    assert_eq!(write(&varve, "other", 20, 21, 0).status, 400);

    // More again, and a rate for one tenant.
    put("defaults: {max_series: 0}\ntenants:\n  fast: {ingestion_rate: 10, ingestion_burst: 20}\n");
    wait_for("more series are in force", RELOAD, || {
        (write(&varve, "other", 20, 21, 0).status == 204).then_some(())
    });
    assert_eq!(write(&varve, "fast", 0, 20, 0).status, 204);
    let limited = write(&varve, "fast", 0, 20, 1);
    must_say("too fast", &limited, 429, &["20 samples", "10 samples a second", "ingestion_rate"]);
    let after: u64 = limited.headers["retry-after"].parse().expect("seconds");
    assert!((1..=2).contains(&after), "{after} s");
    assert_eq!(write(&varve, "t", 0, 50, 3).status, 204, "others are not limited");
    wait_for("the rate allows more", RELOAD, || {
        (write(&varve, "fast", 0, 20, 1).status == 204).then_some(())
    });

    let mut expected: Vec<String> = (0..next - 1).map(|id| id.to_string()).collect();
    expected.sort();
    assert_eq!(values(&varve, &[("X-Scope-OrgID", "t")], "limited"), expected);
    assert_eq!(values(&varve, &[("X-Scope-OrgID", "fast")], "limited").len(), 20);
    assert_eq!(varve.process().output().matches("limits reloaded").count(), 2);
}
