//! Queries that want too much, too many queries, and queries that nobody waits
//! for: each gets a clear answer or ends at once, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use varve_tests::client::{Client, V1};
use varve_tests::flood::long;
use varve_tests::http::Response;
use varve_tests::process::{cpu_of, wait_for};
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

/// The CPU that all threads of the process may take from the moment at which
/// nobody waits for a query any more. Unlike time it is the same on a busy
/// machine: on a quiet one the query has ended sooner than that.
const AFTER_ITS_END: Duration = Duration::from_millis(100);
/// When a client leaves, or time is up.
const CUT: Duration = Duration::from_millis(700);

#[test]
fn a_query_that_nobody_waits_for_ends_and_gives_its_memory_back() {
    let dir = tempfile::tempdir().expect("make a folder");
    let mut varve = Varve::new(BINARY, "varve", dir.path()).started();
    let pid = varve.process().pid();
    let varve = &varve;
    fill(varve, &["a"]);
    let answer = client("wide").write(&varve.write_url(), V1, long("load", (10_000, 2), T0));
    assert_eq!(answer.status / 100, 2, "{}", answer.body);
    // Waits until a query runs; since when it was seen to.
    let runs = || loop {
        if metric(varve, "varve_querier_running") == 1.0 {
            return Instant::now();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let ended = |what: &str, cut: Instant, before: Duration| {
        // Nothing is asked at first: an answer takes CPU, too.
        std::thread::sleep(Duration::from_millis(200));
        wait_for(what, SOON, || (metric(varve, "varve_querier_running") == 0.0).then_some(()));
        let took = cut.elapsed();
        let left = metric(varve, "varve_query_memory_bytes");
        assert_eq!(left, 0.0, "{what}: memory is held");
        // Whoever worked for it has ended as well.
        std::thread::sleep(Duration::from_millis(200));
        let more = cpu_of(pid).saturating_sub(before);
        report(format!("{what}: {more:?} of CPU afterwards, had ended within {took:?}"));
        assert!(more < AFTER_ITS_END, "{what}: {more:?} of CPU afterwards");
    };
    let check = |tenant: &str, query: &str| {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| range(&Client::new(tenant, CUT), varve, query, &[]));
            runs();
            assert_eq!(asked.join().expect("an answer").status, 0, "{query} was answered");
        });
        ended(&format!("{tenant}, its client has left"), Instant::now(), cpu_of(pid));

        let (answer, cut, before) = std::thread::scope(|scope| {
            let limit = format!("{}ms", CUT.as_millis());
            let asked =
                scope.spawn(move || range(&client(tenant), varve, query, &[("timeout", &limit)]));
            let cut = runs() + CUT;
            std::thread::sleep(cut.saturating_duration_since(Instant::now()));
            let before = cpu_of(pid);
            (asked.join().expect("an answer"), cut, before)
        });
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.json()["errorType"], "timeout");
        report(format!("{tenant}, its time is up: answered {:?} later", cut.elapsed()));
        ended(&format!("{tenant}, its time is up"), cut, before);
    };
    // Windows within one series.
    check("a", HEAVY);
    // Many series at each step.
    check("wide", &format!("quantile(0.9, (load @ {}) * time())", T0 / 1000 + 1));
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
    // Soon the process would do so by itself, in the middle of it all.
    varve.ship();
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
    // Each once, and then by as many clients as may run at once: what is asked
    // for again is kept, within `store_gateway.reader_memory`.
    let ask = |url: &String| {
        let answer = client("a").get(url, &[]);
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
        answer.body
    };
    let expected: Vec<String> = urls.iter().map(ask).collect();
    std::thread::scope(|scope| {
        for url in urls.iter().cycle().take(16) {
            scope.spawn(move || ask(url));
        }
    });
    // What it keeps while nothing is asked, once it has been asked each of them.
    std::thread::sleep(Duration::from_secs(5));
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
    let (mut rss, most) = (u64::MAX, before + before / 10);
    while rss > most && settled.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
        rss = varve.process().memory();
    }
    report(format!("RSS {} MiB after {:?}", rss / MIB, settled.elapsed()));
    assert!(rss <= most, "RSS is still {} MiB, it was {}", rss / MIB, before / MIB);
    assert_eq!(metric(&varve, "varve_query_memory_bytes"), 0.0);
}
