//! Queries that want too much, too many queries, and queries that nobody waits
//! for: each gets a clear answer or ends at once, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use varve_tests::client::{Client, V1};
use varve_tests::flood::long;
use varve_tests::http::Response;
use varve_tests::process::wait_for;
use varve_tests::report::report;
use varve_tests::traffic::T0;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const MIB: u64 = 1 << 20;
const SERIES: usize = 200;
const SAMPLES: usize = 1800;
const SOON: Duration = Duration::from_secs(60);
/// Half an hour, second by second.
const END_S: i64 = T0 / 1000 + SAMPLES as i64;

fn client(tenant: &str) -> Client {
    Client::new(tenant, Duration::from_secs(120))
}

/// Half an hour of 200 series for each tenant.
fn fill(varve: &Varve, tenants: &[&str]) {
    for tenant in tenants {
        let body = long("load", (SERIES, SAMPLES), T0);
        let answer = client(tenant).write(&varve.write_url(), V1, body);
        assert_eq!(answer.status / 100, 2, "{}", answer.body);
    }
}

/// A range query over all of it, at each second.
fn range(client: &Client, varve: &Varve, query: &str, more: &[(&str, &str)]) -> Response {
    let (start, end) = ((T0 / 1000).to_string(), END_S.to_string());
    let mut params = vec![("query", query), ("start", &start), ("end", &end), ("step", "1")];
    params.extend(more);
    client.get(&varve.url("/api/v1/query_range"), &params)
}

/// A number that the process reports of itself.
fn metric(varve: &Varve, name: &str) -> f64 {
    let text = varve_tests::http::get(&varve.url("/metrics"), &[]).body;
    let line = text.lines().find(|l| l.strip_prefix(name).is_some_and(|r| r.starts_with(' ')));
    let value = line.and_then(|l| l.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// A minute of work: nested windows at each second.
const HEAVY: &str = "sum(quantile_over_time(0.9, quantile_over_time(0.5, load[10m])[20m:1s]))";

#[test]
fn a_query_over_its_budget_says_what_is_too_large_and_others_go_on() {
    let dir = tempfile::tempdir().expect("make a folder");
    let config = "querier: {reads: {max_memory_per_query: 6MiB}}\n";
    let varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    fill(&varve, &["a"]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (client, mut asked) = (client("a"), 0);
            while !stop.load(Ordering::Relaxed) || asked == 0 {
                let data = client.query(&varve.url(""), "count(load{id=~'1.?'})", END_S - 1);
                let data = data.unwrap_or_else(|r| panic!("{}: {}", r.status, r.body));
                assert_eq!(data["result"][0]["value"][1], "11");
                asked += 1;
            }
            asked
        });
        let check = |query: &str, part: &str| {
            let answer = range(&client("a"), &varve, query, &[]);
            assert_eq!(answer.status, 422, "{query}: {}", answer.body);
            let error = answer.json()["error"].as_str().expect("an error").to_owned();
            let limit = "the query memory limit of 6291456 bytes would be exceeded";
            assert!(error.contains(limit), "{query}: {error}");
            let setting = "(setting querier.reads.max_memory_per_query)";
            assert!(error.contains(setting), "{query}: {error}");
            assert!(error.ends_with(&format!("held by {part}")), "{query}: {error}");
        };
        check("load", "load");
        check("1 + sum by (id) (rate(load[1m]))", "load[1m]");
        stop.store(true, Ordering::Relaxed);
        let asked = others.join().expect("others go on");
        report(format!("{asked} other queries were answered meanwhile"));
    });
    assert_eq!(metric(&varve, "varve_query_memory_bytes"), 0.0);
}

#[test]
fn a_tenant_that_floods_leaves_others_their_turn() {
    let dir = tempfile::tempdir().expect("make a folder");
    let config = "querier: {max_concurrent: 1, max_outstanding_per_tenant: 8}\n";
    let varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    fill(&varve, &["flood", "calm"]);
    let query = "sum(quantile_over_time(0.5, load[5m]))";
    let (stop, done, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let client = client("flood");
                while !stop.load(Ordering::Relaxed) {
                    let answer = range(&client, &varve, query, &[]);
                    if answer.status == 200 {
                        done.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    assert_eq!(answer.status, 503, "{}", answer.body);
                    assert!(answer.body.contains("max_outstanding_per_tenant"), "{}", answer.body);
                    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
                    refused.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        wait_for("the flood is refused", SOON, || {
            (refused.load(Ordering::Relaxed) > 0).then_some(())
        });
        // Each time at most the one that runs, and then it is our turn.
        let client = client("calm");
        for turn in 0..3 {
            let before = done.load(Ordering::Relaxed);
            let answer = range(&client, &varve, "count(load)", &[]);
            assert_eq!(answer.status, 200, "{}", answer.body);
            let passed = done.load(Ordering::Relaxed) - before;
            // One may have ended before we were heard, one while we were answered.
            assert!(passed <= 3, "turn {turn}: {passed} queries of the flood went first");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (done, refused) = (done.into_inner(), refused.into_inner());
    report(format!("flood: {done} answered, {refused} refused"));
}

#[test]
fn a_query_that_nobody_waits_for_ends_and_gives_its_memory_back() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path()).started();
    fill(&varve, &["a"]);
    let running = |n: f64| (metric(&varve, "varve_querier_running") == n).then_some(());
    let ended = |what: &str, begun: Instant| {
        wait_for(what, SOON, || running(0.0));
        report(format!("{what}: the query has ended after {:?}", begun.elapsed()));
        // A tenth of a second is the aim; a busy machine may need longer to say so.
        assert!(begun.elapsed() < Duration::from_secs(2), "{what}: {:?}", begun.elapsed());
        let left = metric(&varve, "varve_query_memory_bytes");
        assert_eq!(left, 0.0, "{what}: memory is held");
    };
    // A client that gives up.
    std::thread::scope(|scope| {
        scope.spawn(|| range(&Client::new("a", Duration::from_secs(1)), &varve, HEAVY, &[]));
        wait_for("it runs", SOON, || running(1.0));
        wait_for("it holds memory", SOON, || {
            (metric(&varve, "varve_query_memory_bytes") > 0.0).then_some(())
        });
    });
    ended("the client has left", Instant::now());
    // A time limit.
    let begun = Instant::now();
    let answer = range(&client("a"), &varve, HEAVY, &[("timeout", "500ms")]);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.json()["errorType"], "timeout");
    report(format!("a limit of 500 ms was answered after {:?}", begun.elapsed()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    ended("its time was up", begun + Duration::from_millis(500));
}

/// A thousand clients at once, each with queries of its own size, against a
/// process that may use a gibibyte.
#[test]
fn a_thousand_clients_within_a_gibibyte() {
    const CLIENTS: usize = 1000;
    const EACH: usize = 3;
    let dir = tempfile::tempdir().expect("make a folder");
    let config = "querier:\n  max_concurrent: 16\n  max_outstanding_per_tenant: 200\n  \
        reads: {max_memory: 384MiB, max_memory_per_tenant: 256MiB, max_memory_per_query: 64MiB}\n";
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(config).started();
    fill(&varve, &["a"]);
    let queries = [
        "sum(rate(load[1m]))",
        "max by (id) (load)",
        "load",
        "topk(3, avg_over_time(load[5m]))",
        "count(load > 0.5)",
    ];
    let path = |query: &str| {
        let (start, end) = (T0 / 1000, END_S);
        let query = query.replace(' ', "%20").replace('>', "%3E");
        varve.url(&format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=10"))
    };
    let urls: Vec<String> = queries.iter().map(|q| path(q)).collect();
    let expected: Vec<String> = urls
        .iter()
        .map(|url| {
            let answer = client("a").get(url, &[]);
            assert_eq!(answer.status, 200, "{url}: {}", answer.body);
            answer.body
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let before = varve.process().memory();
    let (right, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("build a runtime");
    let (urls, expected) = (Arc::new(urls), Arc::new(expected));
    let begun = Instant::now();
    runtime.block_on(async {
        let http = reqwest::Client::new();
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let (http, urls, expected) = (http.clone(), Arc::clone(&urls), Arc::clone(&expected));
            let (right, refused) = (Arc::clone(&right), Arc::clone(&refused));
            clients.push(tokio::spawn(async move {
                for turn in 0..EACH {
                    let at = (n + turn) % urls.len();
                    let request = http.get(&urls[at]).header("X-Scope-OrgID", "a");
                    let answer = request.send().await.expect("an answer");
                    match answer.status().as_u16() {
                        200 => {
                            let body = answer.text().await.expect("a body");
                            assert!(body == expected[at], "{}: another answer", urls[at]);
                            right.fetch_add(1, Ordering::Relaxed);
                        }
                        503 => {
                            assert!(answer.headers().contains_key("retry-after"));
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        status => panic!("{status}: {:?}", answer.text().await),
                    }
                }
            }));
        }
        for client in clients {
            client.await.expect("a client's answers are right");
        }
    });
    // Their connections are closed.
    drop(runtime);
    let (right, refused) = (right.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    let peak = varve.process().peak_memory();
    report(format!(
        "{right} right answers, {refused} refused in {:?}; RSS {} MiB before, {} MiB at most",
        begun.elapsed(),
        before / MIB,
        peak / MIB
    ));
    assert_eq!(right + refused, CLIENTS * EACH);
    assert!(right >= 200, "only {right} were answered");
    assert!(peak < 1024 * MIB, "{} MiB", peak / MIB);
    let settled = Instant::now();
    let mut rss = u64::MAX;
    while rss > before + before / 10 && settled.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
        rss = varve.process().memory();
    }
    report(format!("RSS {} MiB after {:?}", rss / MIB, settled.elapsed()));
    assert_eq!(metric(&varve, "varve_query_memory_bytes"), 0.0);
}
