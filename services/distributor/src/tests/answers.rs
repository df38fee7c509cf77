//! Statuses, counts and messages.

use tonic::Status;
use varve_runtime::config::ByteSize;

use super::fake::Fault;
use super::*;

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];
const DOWN: &[(&str, &str)] = &[("__name__", "down"), ("job", "b")];

fn written(reply: &WriteReply) -> (u16, u64, u64, u64) {
    (reply.status, reply.samples, reply.histograms, reply.exemplars)
}

#[tokio::test]
async fn what_is_answered_204_is_there() {
    for protocol in BOTH {
        let bench = bench(LimitsPatch::default());
        let request = Request::default()
            .float(UP, NOW, 1.0)
            .exemplar(&[("trace_id", "abc")], NOW)
            .histogram(DOWN, NOW, super::validation::histogram());
        let reply = bench.send(protocol, &request).await;
        assert_eq!((written(&reply), reply.message.as_str()), ((204, 1, 1, 1), ""));
        let held = bench.fake.held("team-1", &labels(UP));
        assert_eq!(held[0].1.floats[&NOW], (1.0, 0));
        assert_eq!(held[0].1.exemplars.len(), 1);
        let held = bench.fake.held("team-1", &labels(DOWN));
        assert_eq!(held[0].1.histograms[&NOW], super::validation::histogram());
        assert!(bench.fake.held("team-2", &labels(UP)).is_empty());
        // The same again is written again.
        assert_eq!(written(&bench.send(protocol, &request).await), (204, 1, 1, 1));
    }
}

#[tokio::test]
async fn start_timestamps_and_stale_markers_arrive() {
    let bench = bench(LimitsPatch::default());
    let mut series = Series { labels: labels(UP), ..Series::default() };
    series.floats.push(NOW, 5.0, NOW - 1000);
    series.floats.push(NOW + 1, varve_model::stale_nan(), 0);
    let reply = bench.send(Protocol::V2, &Request(vec![(series, vec![], None)])).await;
    assert_eq!(written(&reply), (204, 2, 0, 0));
    let held = &bench.fake.held("team-1", &labels(UP))[0].1;
    assert_eq!(held.floats[&NOW], (5.0, NOW - 1000));
    assert!(varve_model::is_stale(held.floats[&(NOW + 1)].0));
}

#[tokio::test]
async fn what_is_refused_is_named_and_neighbours_are_kept() {
    for protocol in BOTH {
        let bench = bench(LimitsPatch::default());
        let first = Request::default().float(UP, NOW, 1.0).float(DOWN, NOW, 1.0);
        assert_eq!(written(&bench.send(protocol, &first).await), (204, 2, 0, 0));
        let old = NOW - 3 * 3_600_000;
        let second =
            Request::default().float(UP, NOW, 2.0).float(DOWN, old, 2.0).float(DOWN, NOW + 15, 3.0);
        let reply = bench.send(protocol, &second).await;
        assert_eq!(written(&reply), (400, 1, 0, 0));
        let floor = NOW - 2 * 3_600_000;
        let want = format!(
            "2 refused for good (1 out_of_order, 1 duplicate_timestamp), the rest is kept: \
             duplicate_timestamp up{{job=\"a\"}} at {NOW}: another value; out_of_order \
             down{{job=\"b\"}} at {old}: sample is older than {floor} (out_of_order_window)"
        );
        assert_eq!(reply.message, want);
        assert!(bench.fake.held("team-1", &labels(DOWN))[0].1.floats.contains_key(&(NOW + 15)));
        assert_eq!(bench.metric("varve_distributor_refused_total"), 2.0);
    }
}

#[tokio::test]
async fn many_refusals_are_counted_and_few_are_shown() {
    let bench = bench(LimitsPatch::default());
    let mut request = Request::default();
    for i in 0..1000 {
        request = request.float(&[("job", &i.to_string())], NOW, 1.0);
    }
    let reply = bench.send(Protocol::V2, &request.float(UP, NOW, 1.0)).await;
    assert_eq!(written(&reply), (400, 1, 0, 0));
    assert!(reply.message.starts_with("1000 refused for good (1000 missing_metric_name)"));
    assert!(reply.message.len() < 1000, "{}", reply.message.len());
}

/// Whatever can pass later makes the answer 5xx; counts stay exact.
#[tokio::test]
async fn a_retry_is_asked_for_when_any_part_can_succeed() {
    for protocol in BOTH {
        let limits = LimitsPatch { partitions: Some(0), ..LimitsPatch::default() };
        let bench = bench_with(8, limits, impatient());
        let mut request = Request::default();
        for i in 0..100 {
            request = request.float(&[("__name__", "m"), ("i", &i.to_string())], NOW, 1.0);
        }
        request = request.float(&[("job", "nameless")], NOW, 1.0);
        for _ in 0..2000 {
            bench.fake.fail(3, Fault::Status(Status::unavailable("disk is full")));
        }
        let reply = bench.send(protocol, &request).await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.retry_after, Some(Duration::from_secs(5)));
        assert_eq!(reply.samples, bench.fake.series() as u64);
        assert!((50..100).contains(&reply.samples), "{}", reply.samples);
        let want = "partition 3 is not available: disk is full; 1 refused for good";
        assert!(reply.message.starts_with(want), "{}", reply.message);
    }
}

#[tokio::test]
async fn a_partition_that_comes_back_in_time_is_waited_for() {
    let bench = bench(LimitsPatch::default());
    bench.fake.fail(0, Fault::Status(Status::unavailable("away")));
    bench.fake.fail(0, Fault::Status(Status::not_found("moved")));
    bench.fake.fail(0, Fault::AnswerLost);
    let reply = bench.send(Protocol::V2, &Request::default().float(UP, NOW, 1.0)).await;
    assert_eq!(written(&reply), (204, 1, 0, 0));
    assert_eq!(bench.metric("varve_distributor_append_retries_total"), 3.0);
}

#[tokio::test]
async fn a_partition_that_hangs_is_given_up() {
    let bench = bench_with(1, LimitsPatch::default(), impatient());
    bench.fake.fail(0, Fault::Hang);
    let reply = bench.send(Protocol::V1, &Request::default().float(UP, NOW, 1.0)).await;
    assert_eq!((reply.status, reply.samples), (503, 0));
}

/// The second request finds no room while the first one waits for its answer.
#[tokio::test]
async fn overload_is_503_before_memory_runs_out() {
    let bench =
        bench_with(1, LimitsPatch::default(), Config { inflight: ByteSize(100), ..impatient() });
    bench.fake.fail(0, Fault::Hang);
    let request = Request::default().float(UP, NOW, 1.0);
    let (first, second) =
        tokio::join!(bench.send(Protocol::V1, &request), bench.send(Protocol::V1, &request));
    assert_eq!((first.status, second.status), (503, 503));
    assert!(first.message.contains("the request's time is over"), "{}", first.message);
    assert!(second.message.contains("the limit is 100 (inflight)"), "{}", second.message);
    assert!(second.retry_after.is_some());
    assert_eq!(bench.send(Protocol::V1, &request).await.status, 204);
}

#[tokio::test]
async fn what_should_not_occur_is_500_and_not_repeated_here() {
    let bench = bench(LimitsPatch::default());
    bench.fake.fail(0, Fault::Status(Status::invalid_argument("batch is empty")));
    let reply = bench.send(Protocol::V1, &Request::default().float(UP, NOW, 1.0)).await;
    assert_eq!((reply.status, reply.samples), (500, 0));
    assert_eq!(bench.metric("varve_distributor_append_retries_total"), 0.0);
}

#[tokio::test]
async fn only_the_tenants_own_rate_is_429() {
    let limits = LimitsPatch {
        ingestion_rate: Some(10),
        ingestion_burst: Some(20),
        ..LimitsPatch::default()
    };
    let bench = bench_with(1, limits, impatient());
    let request = |n: i64| (0..n).fold(Request::default(), |r, i| r.float(UP, NOW + i, 1.0));
    assert_eq!(bench.send(Protocol::V1, &request(20)).await.status, 204);
    let reply = bench.send(Protocol::V1, &request(10)).await;
    assert_eq!((reply.status, reply.samples), (429, 0));
    assert_eq!(reply.retry_after, Some(Duration::from_secs(1)));
    let want = "10 samples exceed the tenant's rate of 10 samples a second with bursts of 20 \
                (ingestion_rate, ingestion_burst)";
    assert_eq!(reply.message, want);
    assert_eq!(bench.send_as("team-2", Protocol::V1, &request(20)).await.status, 204);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.send(Protocol::V1, &request(10)).await.status, 204);

    // What has to be repeated does not count twice.
    bench.clock.advance(Duration::from_secs(2));
    bench.fake.fail(0, Fault::Hang);
    assert_eq!(bench.send(Protocol::V1, &request(20)).await.status, 503);
    assert_eq!(bench.send(Protocol::V1, &request(20)).await.status, 204);

    // A new limit counts from the next request on.
    bench.limits.send(overrides(LimitsPatch::default())).unwrap();
    assert_eq!(bench.send(Protocol::V1, &request(20)).await.status, 204);
}

#[tokio::test]
async fn large_and_damaged_bodies() {
    let bench = bench(LimitsPatch {
        max_request_bytes: Some(ByteSize(1000)),
        max_decompressed_bytes: Some(ByteSize(4000)),
        ..LimitsPatch::default()
    });
    let long = "x".repeat(5000);
    let bomb = Request::default().float(&[("__name__", "m"), ("a", &long)], NOW, 1.0);
    let noise: Vec<u8> = (0..1001u32).map(|i| (i * i) as u8).collect();
    // One symbol that stands for more than a request may hold.
    let mut symbols = prompb::v2::Request {
        symbols: vec![String::new(), "x".repeat(1000)],
        ..Default::default()
    };
    for _ in 0..100 {
        symbols
            .timeseries
            .push(prompb::v2::TimeSeries { labels_refs: vec![1; 8], ..Default::default() });
        symbols.timeseries.last_mut().unwrap().samples.push(Default::default());
    }
    let cases: [(&str, Protocol, Vec<u8>, u16, &str); 5] = [
        (
            "a long body",
            Protocol::V1,
            noise,
            413,
            "request body is 1001 bytes long, the limit is 1000 (max_request_bytes)",
        ),
        (
            "a bomb",
            Protocol::V2,
            bomb.body(Protocol::V2),
            413,
            "body decompresses to 5047 bytes, the limit is 4000 (max_decompressed_bytes)",
        ),
        (
            "a symbol bomb",
            Protocol::V2,
            prompb::compress(&symbols),
            413,
            "request holds more than 16000 bytes of labels and samples once decoded \
             (max_decompressed_bytes)",
        ),
        ("no snappy", Protocol::V1, vec![3, 200, 1], 400, "body is not a snappy block: "),
        (
            "no protobuf",
            Protocol::V1,
            snap::raw::Encoder::new().compress_vec(&[0x0a, 9, 1]).unwrap(),
            400,
            "malformed write request at byte 2: it ends inside a field",
        ),
    ];
    for (what, protocol, body, status, message) in cases {
        let reply = bench.send_body("team-1", protocol, body).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.message);
        assert!(reply.message.starts_with(message), "{what}: {}", reply.message);
        assert_eq!(written(&reply).1, 0);
    }
    assert_eq!(bench.fake.series(), 0);
}

/// A request that breaks off in the middle leaves nothing behind.
#[tokio::test]
async fn a_malformed_request_is_not_written_in_part() {
    let bench = bench(LimitsPatch::default());
    let body = Request::default().float(UP, NOW, 1.0).float(DOWN, NOW, 1.0).body(Protocol::V1);
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let cut = snap::raw::Encoder::new().compress_vec(&plain[..plain.len() - 3]).unwrap();
    assert_eq!(bench.send_body("team-1", Protocol::V1, cut).await.status, 400);
    assert_eq!(bench.fake.series(), 0);
}

#[tokio::test]
async fn an_empty_request_is_fine() {
    let bench = bench(LimitsPatch::default());
    for protocol in BOTH {
        let reply = bench.send(protocol, &Request::default()).await;
        assert_eq!(written(&reply), (204, 0, 0, 0));
    }
}
