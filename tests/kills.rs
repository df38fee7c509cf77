//! Random kill -9 under writers that record every acknowledgement and readers
//! that check every answer: nothing acknowledged is lost, nothing is invented,
//! and an answer is complete or no answer.
//!
//! Seals, cuts, ships and collections go on all the time, so that kills fall
//! into them; failpoints make some of them last longer. The moments of the
//! kills follow from the seed that is printed (`VARVE_SEED` replays it).

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use varve_tests::client::Client;
use varve_tests::ledger::{Asked, Counter, Ledger, Totals};
use varve_tests::process::free_port;
use varve_tests::report::report;
use varve_tests::seed::seed;
use varve_tests::traffic::{TICK_MS, Traffic, time_ms};
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const WRITERS: u32 = 6;
const READERS: u64 = 2;
const PARTITIONS: &str = "partitions: 2";

/// Everything is quick here: a seal seven times a second, a cut and a ship of
/// each window twice, collection every second; segments of the log are small.
const CONFIG: &str = "
limits: {inline: {defaults: {partitions: 0, out_of_order_window: 96h}}}
distributor: {request_timeout: 500ms, retry_after: 1s}
ingester: {hold: 200ms, seal_interval: 150ms, ship_check_interval: 100ms, cut_delay: 0, cut_spread: 0, late_cut_interval: 500ms, log_segment: 256KiB}
compactor: {interval: 1s}
catalog: {fresh_ms: 100, pin_ms: 5000, grace_ms: 10000, orphan_ms: 40000, commit_ms: 1000}
";

/// Places at which a round may take longer than it would.
const PLACES: [&str; 11] = [
    "seal.before-manifest",
    "seal.after-manifest",
    "seal.before-purge",
    "ship.before-build",
    "ship.after-upload-some",
    "ship.before-commit",
    "catalog.before-manifest",
    "catalog.after-manifest",
    "ship.after-commit",
    "ship.before-shipped",
    "query.between-pin-and-heads",
];

/// Where a test writes, reads and ships.
#[derive(Clone)]
struct Urls {
    write: String,
    read: String,
    ship: String,
}

/// Writers, readers and one who ships, until they are stopped.
struct Fleet {
    urls: Urls,
    counter: Counter,
    ledgers: Vec<Arc<Ledger>>,
    begun: Instant,
    stop: AtomicBool,
    /// Writes and queries that were taken, and that were refused for now.
    writes: [AtomicUsize; 2],
    queries: [AtomicUsize; 2],
    ships: AtomicUsize,
}

/// Lets the threads end also when the test fails.
struct Stopping(Arc<Fleet>);

impl Deref for Stopping {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.0
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

fn tenant(writer: u32) -> String {
    format!("tenant-{}", writer % 3)
}

/// A client for the tenant of each writer.
fn clients() -> Vec<Client> {
    (0..WRITERS).map(|w| Client::new(&tenant(w), Duration::from_secs(20))).collect()
}

impl Fleet {
    fn start(urls: Urls, seed: u64) -> (Stopping, Vec<JoinHandle<()>>) {
        let counter = Counter::default();
        let ledgers = (0..WRITERS).map(|w| Arc::new(Ledger::new(w, counter.clone()))).collect();
        let fleet = Arc::new(Self {
            urls,
            counter,
            ledgers,
            begun: Instant::now(),
            stop: AtomicBool::new(false),
            writes: Default::default(),
            queries: Default::default(),
            ships: AtomicUsize::new(0),
        });
        let mut threads = Vec::new();
        for writer in 0..WRITERS {
            let fleet = Arc::clone(&fleet);
            threads.push(thread::spawn(move || fleet.write(writer, seed)));
        }
        for reader in 0..READERS {
            let fleet = Arc::clone(&fleet);
            threads.push(thread::spawn(move || fleet.read(seed.wrapping_add(reader))));
        }
        let shipper = Arc::clone(&fleet);
        threads.push(thread::spawn(move || shipper.ship(seed)));
        (Stopping(fleet), threads)
    }

    /// Twenty ticks a second: a window of two hours takes twelve seconds.
    fn tick(&self) -> i64 {
        self.begun.elapsed().as_millis() as i64 / 50 + 1
    }

    fn running(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Counts an answer; whether it was a success. Refusals must be such that
    /// senders try again, and say when.
    fn taken(
        &self,
        counts: &[AtomicUsize; 2],
        what: &str,
        answer: &varve_tests::http::Response,
    ) -> bool {
        let ok = answer.status / 100 == 2;
        // No whole answer: the process was killed under it.
        assert!(
            ok || [0, 503].contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.body
        );
        counts[usize::from(!ok)].fetch_add(1, Ordering::SeqCst);
        ok
    }

    fn write(&self, writer: u32, seed: u64) {
        let ledger = &self.ledgers[writer as usize];
        let client = Client::new(&tenant(writer), Duration::from_secs(20));
        let mut traffic = Traffic::new(writer, seed);
        let mut last = 0;
        let mut pending = None;
        while self.running() {
            let batch = match pending.take() {
                Some(batch) => batch,
                None if self.tick() <= last => {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
                None => {
                    last = self.tick();
                    traffic.next(last)
                }
            };
            ledger.sending(&batch.samples);
            let answer = client.write(&self.urls.write, batch.content_type, batch.body.clone());
            if self.taken(&self.writes, "write", &answer) {
                ledger.acknowledged(&batch.samples);
                for (kind, count) in ["samples", "histograms"].iter().zip(batch.counts) {
                    let header = format!("x-prometheus-remote-write-{kind}-written");
                    let written = answer.headers.get(&header);
                    assert!(
                        written.is_none_or(|w| *w == count.to_string()),
                        "{header} {written:?} of {count}"
                    );
                }
                continue;
            }
            let advised = answer.status == 0 || answer.headers.contains_key("retry-after");
            assert!(advised, "a 503 without Retry-After: {}", answer.body);
            thread::sleep(Duration::from_millis(20));
            // Most are sent again; some stay unknown for ever.
            if traffic.chance(0.8) {
                pending = Some(batch);
            }
        }
    }

    fn read(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let clients = clients();
        while self.running() {
            let writer = random.random_range(0..WRITERS);
            let shape = random.random_range(0..3);
            let span = [20, 300, self.tick()][random.random_range(0..3)];
            let client = &clients[writer as usize];
            match self.query(client, writer, shape, span) {
                Ok(_) => {}
                Err(answer) => {
                    self.taken(&self.queries, "query", &answer);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// Asks and checks one query over the last `span` ticks; gives the number
    /// of points, or the answer that was none.
    fn query(
        &self,
        client: &Client,
        writer: u32,
        shape: usize,
        span: i64,
    ) -> Result<usize, varve_tests::http::Response> {
        let ledger = &self.ledgers[writer as usize];
        let to = self.tick() + 1;
        let from = (to - span).max(0);
        let seconds = (to - from) * TICK_MS / 1000;
        let at = |tick| (time_ms(tick) / 1000).to_string();
        let selector = format!("kills{{writer=\"{writer}\"}}");
        let before = self.counter.now();
        let answer = match shape {
            0 | 1 => {
                let raw = format!("{selector}[{seconds}s]");
                let query = if shape == 0 { raw } else { format!("sum(count_over_time({raw}))") };
                let url = format!("{}/api/v1/query", self.urls.read);
                client.get(&url, &[("query", &query), ("time", &at(to))])
            }
            _ => {
                let url = format!("{}/api/v1/query_range", self.urls.read);
                let step = (TICK_MS / 1000).to_string();
                let range = [("start", at(from)), ("end", at(to)), ("step", step)];
                let mut params = vec![("query", selector.as_str())];
                params.extend(range.iter().map(|(k, v)| (*k, v.as_str())));
                client.get(&url, &params)
            }
        };
        let asked = Asked { before, after: self.counter.now() };
        if answer.status != 200 {
            return Err(answer);
        }
        self.taken(&self.queries, "query", &answer);
        let data = &answer.json()["data"];
        let checked = match shape {
            0 => ledger.check_raw(data, (from, to), asked),
            1 => ledger.check_count(data, (from, to), asked),
            _ => ledger.check_steps(data, (from, to), asked),
        };
        let count = checked.unwrap_or_else(|e| {
            let coverage = answer.headers.get("x-varve-coverage");
            panic!("writer {writer}, shape {shape}, ticks {from} to {to}: {e}; {coverage:?}")
        });
        Ok(count)
    }

    fn ship(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(!seed);
        let client = Client::new("nobody", Duration::from_secs(20));
        while self.running() {
            thread::sleep(Duration::from_millis(random.random_range(100..700)));
            let answer = client.write(&self.urls.ship, "", "");
            let fine = [0, 200, 503].contains(&answer.status);
            assert!(fine, "ship: {} {}", answer.status, answer.body);
            self.ships.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
        }
    }

    /// Ends all threads; what one of them found fails the test.
    fn finish(&self, threads: Vec<JoinHandle<()>>) {
        self.stop.store(true, Ordering::SeqCst);
        for one in threads {
            one.join().expect("a writer or reader found something wrong");
        }
    }

    fn must_run(&self, threads: &[JoinHandle<()>]) {
        assert!(!threads.iter().any(JoinHandle::is_finished), "a thread has ended");
    }

    fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for totals in self.ledgers.iter().map(|l| l.totals()) {
            sum.acknowledged += totals.acknowledged;
            sum.open += totals.open;
            sum.series += totals.series;
        }
        sum
    }

    /// Compares everything.
    fn compare(&self, step: &str) {
        let mut points = 0;
        let clients = clients();
        for writer in 0..WRITERS {
            for shape in 0..3 {
                let client = &clients[writer as usize];
                let found = self.query(client, writer, shape, i64::MAX / 4);
                let found = found.unwrap_or_else(|a| panic!("{step}: {} {}", a.status, a.body));
                points += if shape == 0 { found } else { 0 };
            }
        }
        report(format!("{step}: {points} samples in the answers"));
        assert!(points > 1000, "{step}: too little to show anything");
    }

    fn report(&self, kills: usize, ready: &mut [Duration]) {
        ready.sort_unstable();
        let (median, slowest) = (ready[ready.len() / 2], ready[ready.len() - 1]);
        let count = |counts: &[AtomicUsize; 2]| counts.each_ref().map(|c| c.load(Ordering::SeqCst));
        let (writes, queries) = (count(&self.writes), count(&self.queries));
        report(format!(
            "{kills} kills in {:.0?}, ready after {median:.2?}, at most {slowest:.2?}; {:?}; {} writes, {} not taken; {} queries right, {} unavailable; {} ships by hand",
            self.begun.elapsed(),
            self.totals(),
            writes[0],
            writes[1],
            queries[0],
            queries[1],
            self.ships.load(Ordering::SeqCst),
        ));
        assert!(queries[0] > kills, "too few queries to show anything");
        assert!(writes[1] > 0 && queries[1] > 0, "nobody noticed a kill");
    }
}

fn millis(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

/// Some places that last longer in this round.
fn places(random: &mut StdRng) -> String {
    let count = random.random_range(0..4);
    let some: Vec<String> = (0..count)
        .map(|_| {
            let place = PLACES[random.random_range(0..PLACES.len())];
            let (share, ms) = (random.random_range(5..60), random.random_range(5..80));
            format!("{place}={share}%sleep({ms})")
        })
        .collect();
    some.join(";")
}

#[test]
fn fifty_kills_lose_nothing() {
    const ROUNDS: usize = 50;
    let seed = seed("fifty_kills_lose_nothing");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("make a folder");
    let config = format!("cluster: {{{PARTITIONS}}}{CONFIG}");
    let mut varve = Varve::new(BINARY, "varve", dir.path()).config(&config).started();
    let urls = Urls {
        write: varve.write_url(),
        read: varve.url(""),
        ship: varve.url("/api/v1/admin/ship"),
    };
    let (fleet, threads) = Fleet::start(urls, seed);
    let mut ready = Vec::new();
    let mut idle = 0;
    for _ in 0..ROUNDS {
        let before = fleet.totals().acknowledged;
        thread::sleep(millis(&mut random, 200..1300));
        varve.process().must_run();
        varve.kill();
        fleet.must_run(&threads);
        idle += usize::from(fleet.totals().acknowledged == before);
        varve.set_env("VARVE_FAILPOINTS", &places(&mut random));
        let started = Instant::now();
        varve.start();
        ready.push(started.elapsed());
    }
    fleet.finish(threads);
    fleet.report(ROUNDS, &mut ready);
    assert!(idle <= ROUNDS / 5, "nothing was acknowledged in {idle} rounds of {ROUNDS}");
    fleet.compare("after the last start");
    varve.set_env("VARVE_FAILPOINTS", "");
    varve.kill();
    varve.start();
    fleet.compare("killed at rest");
    varve.ship();
    fleet.compare("shipped");
    varve.terminate();
    varve.start();
    fleet.compare("ended and started");
}

/// Every role a process; the ingesters share the partitions.
struct Cluster {
    distributor: Varve,
    querier: Varve,
    /// Two ingesters and the store-gateway.
    killed: [Varve; 3],
}

impl Cluster {
    fn start(dir: &Path) -> Self {
        let [a, b, gateway] = [(); 3].map(|()| free_port());
        let config = format!(
            "bucket: {{url: '{}'}}\ncluster: {{{PARTITIONS}, ingesters: [{{address: '127.0.0.1:{a}', partitions: [0]}}, {{address: '127.0.0.1:{b}', partitions: [1]}}], store_gateways: ['127.0.0.1:{gateway}']}}{CONFIG}",
            dir.join("bucket").display()
        );
        let varve = |name: &str, roles: &str, port: Option<u16>| {
            let varve = Varve::new(BINARY, name, dir).roles(roles).config(&config);
            port.into_iter().fold(varve, Varve::grpc_port).started()
        };
        Self {
            killed: [
                varve("ingester-a", "ingester", Some(a)),
                varve("ingester-b", "ingester", Some(b)),
                varve("gateway", "store-gateway,compactor", Some(gateway)),
            ],
            distributor: varve("distributor", "distributor", None),
            querier: varve("querier", "querier", None),
        }
    }
}

#[test]
fn kills_of_one_role_of_many_lose_nothing() {
    const ROUNDS: usize = 14;
    let seed = seed("kills_of_one_role_of_many_lose_nothing");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("make a folder");
    let mut cluster = Cluster::start(dir.path());
    let urls = Urls {
        write: cluster.distributor.write_url(),
        read: cluster.querier.url(""),
        ship: cluster.distributor.url("/api/v1/admin/ship"),
    };
    let (fleet, threads) = Fleet::start(urls, seed);
    let mut ready = Vec::new();
    for round in 0..ROUNDS {
        thread::sleep(millis(&mut random, 100..700));
        let victim = &mut cluster.killed[if round < 3 { round } else { random.random_range(0..3) }];
        victim.process().must_run();
        victim.kill();
        // The others run on; at first for longer than a write may take.
        thread::sleep(if round < 3 { Duration::from_secs(1) } else { millis(&mut random, 0..500) });
        fleet.must_run(&threads);
        victim.set_env("VARVE_FAILPOINTS", &places(&mut random));
        let started = Instant::now();
        victim.start();
        ready.push(started.elapsed());
    }
    thread::sleep(Duration::from_millis(500));
    fleet.finish(threads);
    fleet.report(ROUNDS, &mut ready);
    cluster.distributor.process().must_run();
    cluster.querier.process().must_run();
    fleet.compare("after the last start");
    cluster.distributor.ship();
    fleet.compare("shipped");
}
