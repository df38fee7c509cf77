//! More than Varve can take: senders that are faster, a disk that is slower, a
//! bucket that is away, a million new series, a rollout of everything.
//!
//! Each time memory stays within a bound that is stated beside the test, what
//! cannot be taken is refused with 503 and `Retry-After`, nothing acknowledged
//! is lost, all recovers without help, and a calm tenant keeps its data and,
//! where it is possible at all, its acknowledgements.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use varve_model::WINDOW_MS;
use varve_testkit::FakeGcs;
use varve_tests::calm::Calm;
use varve_tests::client::Client;
use varve_tests::flood::{LONG_STEP_MS, flood, long, noise, pods, wide};
use varve_tests::process::wait_for;
use varve_tests::proxy::Proxy;
use varve_tests::remote_write::send;
use varve_tests::report::report;
use varve_tests::tmpfs::Tmpfs;
use varve_tests::traffic::T0;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const MIB: u64 = 1 << 20;
/// What a process takes at rest, with its threads, pools and code.
const FIXED: u64 = 96 * MIB;
const SOON: Duration = Duration::from_secs(60);

/// The most memory that the process has had; panics beyond `bound` and the
/// quarter of it that the allocator may keep of what was freed.
fn within(what: &str, varve: &mut Varve, bound: u64) {
    let peak = varve.process().peak_memory();
    let bound = bound + bound / 4;
    report(format!("{what}: peak {} MiB of {} MiB", peak / MIB, bound / MIB));
    assert!(peak <= bound, "{what}: {} MiB are over the bound of {} MiB", peak / MIB, bound / MIB);
}

/// A number that an instant query gives; `None` when it is no 200.
fn number(varve: &Varve, tenant: &str, query: &str, time_ms: i64) -> Option<f64> {
    let client = Client::new(tenant, Duration::from_secs(60));
    let data = client.query(&varve.url(""), query, time_ms / 1000).ok()?;
    let text = data["result"][0]["value"][1].as_str().unwrap_or("0");
    Some(text.parse().expect("a number"))
}

/// The sum of a metric that the process reports of itself.
fn metric(varve: &Varve, name: &str) -> f64 {
    let text = varve_tests::http::get(&varve.url("/metrics"), &[]).body;
    let lines = text
        .lines()
        .filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Connections that send most of a body and then nothing.
fn stalled(varve: &Varve, tenant: &str, connections: usize, bytes: usize) -> Vec<TcpStream> {
    let address = varve.url("").trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: varve\r\nX-Scope-OrgID: {tenant}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        2 * bytes
    );
    let part = vec![7; bytes];
    let open = |_| {
        let mut stream = TcpStream::connect(&address).expect("connect");
        stream.set_write_timeout(Some(Duration::from_secs(5))).expect("set a timeout");
        stream.write_all(head.as_bytes()).expect("send the head");
        // Refused ones may be closed before all of it is sent.
        let _ = stream.write_all(&part);
        stream
    };
    (0..connections).map(open).collect()
}

/// 32 connections of one tenant send requests of 3 MB without pause, and 64 of
/// another stop in the middle of their bodies of 2 MB: 290 MB that want in.
///
/// Bound: what is under way (`distributor.inflight`), for which Varve takes up
/// to three times its share (the body, what it decodes to, the batch on its
/// way), the appends (`append_room`) twice, and the head's 3,000 series.
#[test]
fn senders_that_are_faster_than_varve() {
    const SERIES: usize = 1500;
    const REQUESTS: usize = 48;
    let dir = tempfile::tempdir().expect("make a folder");
    let config = "distributor: {inflight: 48MiB, request_timeout: 3s, retry_after: 2s}\n\
        ingester: {log_queue: 8MiB, append_room: 16MiB, seal_interval: 2s}\n";
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    let mut calm = Calm::start(&varve);
    let stalled = stalled(&varve, "stalled", 64, 1 << 20);
    let url = varve.write_url();
    let values = noise(SERIES, 2000);
    let make = |n: usize| wide("flood", &values, (T0 + n as i64 * 1000, n as f64));
    let outcome = flood((&url, "flood"), 32, Duration::from_secs(8), REQUESTS, &make);
    report(format!("{} requests taken, {} refused", outcome.taken.len(), outcome.refused));
    let first = outcome.first.expect("nothing was refused");
    assert_eq!(first.headers.get("retry-after").map(String::as_str), Some("2"));
    assert!(first.body.contains("inflight"), "{}", first.body);
    drop(stalled);
    for n in &outcome.taken {
        let found =
            number(&varve, "flood", "count(last_over_time(flood[1s]))", T0 + *n as i64 * 1000);
        assert_eq!(found, Some(SERIES as f64), "request {n}");
    }
    // Without help: one after the other is taken, in the first attempt.
    let outcome = flood((&url, "flood"), 1, SOON, REQUESTS, &make);
    assert_eq!((outcome.taken.len(), outcome.refused), (REQUESTS, 0));
    let end = T0 + REQUESTS as i64 * 1000;
    for (query, expected) in [
        ("sum(count_over_time(flood[1h]))", SERIES * REQUESTS),
        ("sum(sum_over_time(flood[1h]))", SERIES * REQUESTS * (REQUESTS - 1) / 2),
    ] {
        assert_eq!(number(&varve, "flood", query, end), Some(expected as f64), "{query}");
    }
    let writes = calm.stop();
    assert!(writes.refused.is_empty(), "calm: {:?}", writes.refused.first());
    calm.complete(&varve);
    within("flood", &mut varve, FIXED + 3 * 48 * MIB + 2 * 16 * MIB + 32 * MIB);
}

/// Each of the first 20 syncs of the log takes half a second longer.
///
/// A change of segment is several syncs, so a write may wait for two seconds:
/// well below the ten of `distributor.request_timeout`.
///
/// Bound: as for the flood above, with the log's queue, and 64 MiB for samples
/// of two seconds between seals.
#[test]
fn a_slow_disk() {
    // A build without optimization decodes too slowly to meet the disk.
    const SMALLER: usize = if cfg!(debug_assertions) { 10 } else { 1 };
    const SHAPE: (usize, usize) = (20, 2000 / SMALLER);
    const REQUESTS: usize = 150;
    let dir = tempfile::tempdir().expect("make a folder");
    let (queue, room) = (16 * MIB as usize / SMALLER, 4 * MIB as usize / SMALLER);
    let config = format!(
        "distributor: {{inflight: 48MiB, retry_after: 2s}}\n\
         ingester: {{log_queue: {queue}, append_room: {room}, seal_interval: 2s}}\n"
    );
    let mut varve = Varve::new(BINARY, "varve", dir.path())
        .config(&config)
        .env("VARVE_FAILPOINTS", "log.sync=20*sleep(500)")
        .started();
    let mut calm = Calm::start(&varve);
    let make = |n: usize| long(&format!("slow_{n}"), SHAPE, T0);
    let url = varve.write_url();
    let begun = Instant::now();
    let outcome = flood((&url, "flood"), 24, SOON, REQUESTS, &make);
    let (taken, refused) = (outcome.taken.len(), outcome.refused);
    report(format!("{taken} requests taken in {:.1?}, {refused} refused", begun.elapsed()));
    assert!(refused > 0, "the disk was not too slow");
    assert_eq!(taken, REQUESTS, "all are taken in the end, without help");
    let writes = calm.stop();
    assert!(writes.refused.is_empty(), "calm: {:?}", writes.refused.first());
    calm.complete(&varve);
    within("slow disk", &mut varve, FIXED + 3 * 48 * MIB + 2 * 4 * MIB + 16 * MIB + 64 * MIB);
    let (series, samples) = SHAPE;
    let end = T0 + samples as i64 * LONG_STEP_MS;
    for n in 0..REQUESTS {
        let query = format!("sum(count_over_time(slow_{n}[1h]))");
        let found = number(&varve, "flood", &query, end);
        assert_eq!(found, Some((series * samples) as f64), "request {n}");
    }
}

/// The bucket is slow, then away until the disk is full, then back. Sample
/// times pass over many windows of two hours meanwhile.
///
/// Bound: the disk of 64 MiB holds all there is; in memory are at most its
/// samples as they came (twice as many bytes), and one block being built.
#[test]
fn a_bucket_that_is_slow_and_then_away() {
    const SHAPE: (usize, usize) = (40, 1000);
    let runtime = tokio::runtime::Runtime::new().expect("build a runtime");
    let server = runtime.block_on(FakeGcs::start()).expect("start the fake");
    let address = server.url().trim_start_matches("http://").parse().expect("an address");
    let wire = Proxy::start(address).expect("start the proxy");
    let key = server.service_account_key().replace(server.url(), &wire.url());
    let config = format!(
        "ingester: {{hold: 0, log_segment: 1MiB, seal_interval: 300ms, ship_check_interval: 200ms, cut_delay: 0, cut_spread: 0, late_cut_interval: 300ms, ship_max_backoff: 1s, disk_high_water: 0.7}}\n\
         bucket:\n  url: gs://away\n  client:\n    timeout_seconds: 3\n    max_retries: 2\n    options: {{allow_http: 'true', google_service_account_key: '{key}'}}\n"
    );
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path());
    let Some(_disk) = Tmpfs::mount(&varve.data_dir(), 64) else { return };
    // Half of it is not Varve's, so that it is full soon.
    std::fs::write(varve.data_dir().join("filler"), vec![1; 32 << 20]).expect("write the filler");
    let mut varve = varve.config(&config).started();
    let url = varve.write_url();
    // A window every fourth request.
    let time = |n: usize| T0 + n as i64 * WINDOW_MS / 4;
    let write = |n: usize| send(&url, "t", long(&format!("away_{n}"), SHAPE, time(n)));
    let complete = |varve: &Varve, n: usize| {
        let query = format!("sum(count_over_time(away_{n}[1h]))");
        let found = number(varve, "t", &query, time(n) + SHAPE.1 as i64 * LONG_STEP_MS);
        found.inspect(|found| assert_eq!(*found, (SHAPE.0 * SHAPE.1) as f64, "request {n}"))
    };
    let mut written = Vec::new();
    let mut take = |n: usize| {
        let answer = write(n);
        match answer.status {
            204 => written.push(n),
            _ => assert_eq!(answer.status, 503, "request {n}: {}", answer.body),
        }
        answer
    };
    let mut calm = Calm::start(&varve);
    let mut next = 0..;
    wire.slow(Duration::from_millis(40));
    for n in next.by_ref().take(12) {
        assert_eq!(take(n).status, 204);
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_for("what was written ships over a slow wire", SOON, || {
        (metric(&varve, "varve_ingester_blocks_shipped_total") >= 5.0).then_some(())
    });
    assert!(complete(&varve, 0).is_some(), "a slow bucket is one that answers");

    wire.cut();
    wire.slow(Duration::ZERO);
    let shipped = metric(&varve, "varve_ingester_blocks_shipped_total");
    let refused = next.by_ref().take(1000).map(&mut take).find(|a| a.status != 204);
    let refused = refused.expect("the disk never filled");
    assert!(refused.body.contains("ingester.disk_high_water"), "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    let writes = calm.stop();
    let full = |a: &varve_tests::http::Response| a.body.contains("ingester.disk_high_water");
    assert!(writes.refused.iter().all(full), "calm: {:?}", writes.refused);
    varve.process().must_run();
    report(format!("full after {} requests", written.len()));

    wire.join();
    let mut taken = |n: usize| {
        let answer = write(n);
        (answer.status == 204).then(|| written.push(n))
    };
    wait_for("writes are taken again", SOON, || taken(next.next()?));
    wait_for("everything ships", SOON, || {
        let left = metric(&varve, "varve_ingester_unshipped_cuts");
        let series = metric(&varve, "varve_head_series");
        (left == 0.0 && series == 0.0).then_some(())
    });
    assert!(metric(&varve, "varve_ingester_blocks_shipped_total") > shipped);
    for n in &written {
        assert!(complete(&varve, *n).is_some(), "request {n}");
    }
    calm.complete(&varve);
    within("away", &mut varve, FIXED + 2 * 64 * MIB);
}

/// A million new series at once, and a tenant that wants more of them than it
/// may have. (A build without optimization sees a tenth.)
///
/// Bound: 3 KiB a series (labels of 11, their index, the open chunk), and the
/// references of the distributor (`reference_cache`), beside the fixed part.
#[test]
fn a_burst_of_new_series() {
    const PODS: usize = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
    const SERIES: usize = PODS * 20;
    const ALLOWED: usize = SERIES / 10;
    let dir = tempfile::tempdir().expect("make a folder");
    let config = format!(
        "cluster: {{partitions: 2}}\n\
         distributor: {{inflight: 64MiB}}\n\
         ingester: {{seal_interval: 5s, append_room: 32MiB}}\n\
         limits: {{inline: {{defaults: {{partitions: 0}}, tenants: {{limited: {{max_series: {ALLOWED}}}}}}}}}\n"
    );
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    let mut calm = Calm::start(&varve);
    let url = varve.write_url();
    let make = |n: usize| pods("burst", n * 100, 100, (T0, 1.0));
    let begun = Instant::now();
    let outcome = flood((&url, "burst"), 4, Duration::from_secs(90), PODS / 100, &make);
    assert_eq!(outcome.taken.len(), PODS / 100);
    report(format!("{SERIES} series in {:.1?}, {} refused", begun.elapsed(), outcome.refused));

    // Twice what the tenant may have; those that were there first stay.
    let mut named = 0;
    let client = Client::new("limited", Duration::from_secs(30));
    for n in 0..PODS / 500 {
        let body = pods("burst", n * 100, 100, (T0, 1.0));
        let answer = client.write(&url, varve_tests::client::V1, body);
        if answer.status != 204 {
            assert_eq!(answer.status, 400, "{}", answer.body);
            assert!(answer.body.contains("max_series"), "{}", answer.body);
            named += 1;
        }
    }
    assert!(named >= PODS / 1000, "{named} refusals");
    let writes = calm.stop();
    assert!(writes.refused.is_empty(), "calm: {:?}", writes.refused.first());
    within("burst", &mut varve, FIXED + 256 * MIB + 64 * MIB * 3 + SERIES as u64 * 11 / 10 * 3072);
    for shard in 0..PODS / 1000 {
        let query = format!("count(burst{{shard=\"{shard}\"}})");
        assert_eq!(number(&varve, "burst", &query, T0), Some(20_000.0), "{query}");
    }
    let kept = number(&varve, "limited", "count(burst)", T0).expect("an answer");
    assert!(kept <= ALLOWED as f64 && kept >= ALLOWED as f64 * 0.95, "{kept} of {ALLOWED}");
    calm.complete(&varve);
}

/// All pods are replaced, again and again: every series is new, the old ones
/// stop. They leave when their last window has shipped.
///
/// Bound: two generations (the one that goes, the one that comes) of 3 KiB a
/// series; settled, far less than a series takes for each that has gone: the
/// distributor remembers its reference for a while, and the allocator keeps
/// some of what was freed.
#[test]
fn a_rollout_of_everything() {
    const PODS: usize = if cfg!(debug_assertions) { 300 } else { 3000 };
    const SERIES: usize = PODS * 20;
    const GENERATIONS: usize = 5;
    let dir = tempfile::tempdir().expect("make a folder");
    let config = "ingester: {hold: 0, seal_interval: 300ms, ship_check_interval: 300ms, cut_delay: 0, cut_spread: 0, late_cut_interval: 500ms}\n";
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    let mut calm = Calm::start(&varve);
    let url = varve.write_url();
    let time = |generation: usize| T0 + generation as i64 * WINDOW_MS;
    let mut settled = Vec::new();
    for generation in 0..GENERATIONS {
        for i in 0..3 {
            let sample = (time(generation) + i * 15_000, generation as f64);
            let first = generation * PODS;
            let make = |n: usize| pods("rollout", first + n * 100, 100, sample);
            let outcome = flood((&url, "rollout"), 2, SOON, PODS / 100, &make);
            assert_eq!(outcome.taken.len(), PODS / 100);
        }
        wait_for("old series leave", SOON, || {
            (metric(&varve, "varve_head_series") < SERIES as f64 / 10.0).then_some(())
        });
        let first: Option<u64> = settled.first().copied();
        let most =
            first.map_or(u64::MAX, |first| first + 16 * MIB + (generation * SERIES) as u64 * 512);
        settled.push(wait_for("memory comes back", SOON, || {
            Some(varve.process().memory()).filter(|now| *now <= most)
        }));
    }
    let writes = calm.stop();
    assert!(writes.refused.is_empty(), "calm: {:?}", writes.refused.first());
    let mib: Vec<u64> = settled.iter().map(|b| b / MIB).collect();
    report(format!("rollout: settled at {mib:?} MiB"));
    within("rollout", &mut varve, FIXED + 64 * MIB + 2 * SERIES as u64 * 3072);
    for generation in 0..GENERATIONS {
        let query = format!("count(rollout == {generation})");
        let found = number(&varve, "rollout", &query, time(generation) + 30_000);
        assert_eq!(found, Some(SERIES as f64), "generation {generation}");
    }
    calm.complete(&varve);
}
