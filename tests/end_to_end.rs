//! The real thing, end to end: Debian's Prometheus scrapes itself and
//! node_exporter every second for more than a minute and remote-writes to
//! Varve in one process, to Varve split into six, and to the judge. Then
//! everything is shipped, killed with -9, and started again. After each step
//! forty queries, all with data, are answered as the judge answers them.

use std::path::Path;
use std::time::Duration;

use varve_runtime::{Clock, SystemClock};
use varve_tests::compare::{ask_both, samples};
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::process::free_port;
use varve_tests::scrape::Scraper;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SCRAPE_FOR: Duration = Duration::from_secs(75);

/// Forty queries that have data after a minute of scraping a Linux machine.
const QUERIES: [&str; 40] = [
    "up",
    "node_load1",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "rate(node_cpu_seconds_total[30s])",
    "sum by (mode) (rate(node_cpu_seconds_total[30s]))",
    "100 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[30s])) * 100",
    "irate(node_context_switches_total[10s])",
    "increase(prometheus_http_requests_total[1m])",
    "topk(3, prometheus_http_requests_total)",
    "bottomk(2, node_filesystem_size_bytes)",
    "sum(scrape_samples_scraped)",
    "count by (job) (up)",
    "count({__name__=~\"node_.+\"})",
    "max_over_time(node_load1[30s])",
    "min_over_time(go_goroutines[30s])",
    "avg_over_time(process_resident_memory_bytes[30s])",
    "sum_over_time(up[30s])",
    "count_over_time(up[30s])",
    "last_over_time(go_goroutines[15s])",
    "stddev_over_time(scrape_duration_seconds[30s])",
    "quantile_over_time(0.9, scrape_duration_seconds[30s])",
    "present_over_time(up[30s])",
    "changes(go_goroutines[1m])",
    "resets(process_cpu_seconds_total[1m])",
    "delta(node_memory_MemFree_bytes[30s])",
    "deriv(process_resident_memory_bytes[30s])",
    "predict_linear(node_memory_MemFree_bytes[30s], 60)",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m])))",
    "histogram_quantile(0.5, rate(prometheus_tsdb_compaction_chunk_range_seconds_bucket[1m])) or vector(1)",
    "go_gc_duration_seconds{quantile=~\"0|0.5|1\"}",
    "node_cpu_seconds_total{mode!~\"idle|iowait\", cpu=\"0\"}",
    "up offset 10s",
    "max_over_time(rate(node_cpu_seconds_total{cpu=\"0\"}[20s])[30s:5s])",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "label_join(up, \"id\", \"/\", \"job\", \"instance\")",
    "process_open_fds / on (job, instance) group_left () process_max_fds",
    "node_filesystem_avail_bytes * on (instance) group_left (nodename) node_uname_info",
    "up == bool 1 and on (job) process_start_time_seconds",
    "clamp_max(round(node_load1 * 100), 1e6) unless absent(up)",
    "time() - process_start_time_seconds",
];

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn now_ms() -> i64 {
    SystemClock.now_ms()
}

/// Asks everything, instant and range; panics with every difference.
fn check(step: &str, varve: &Varve, judge: &Oracle, begun: i64, ended: i64) {
    let (start, end) = (seconds(begun + 30_000), seconds(ended));
    let url = varve.url("");
    let mut wrong = Vec::new();
    for query in QUERIES {
        let instant = [("query", query), ("time", end.as_str())];
        let range =
            [("query", query), ("start", start.as_str()), ("end", end.as_str()), ("step", "7")];
        for (path, params) in [("/api/v1/query", &instant[..]), ("/api/v1/query_range", &range[..])]
        {
            match ask_both(&url, judge.url(), path, params) {
                Err(e) => wrong.push(format!("{path} {query}: {e}")),
                Ok(data) if samples(&data) == 0 => {
                    wrong.push(format!("{path} {query}: no data, the query tests nothing"));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{step}: {} of 80 answers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Distributor, two ingesters with static partitions, querier, two store-gateways.
struct Six {
    all: Vec<Varve>,
}

impl Six {
    fn start(dir: &Path) -> Self {
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let at = |i: usize| format!("127.0.0.1:{}", ports[i]);
        let bucket = dir.join("six-bucket");
        let config = format!(
            "cluster:\n  partitions: 4\n  ingesters:\n    - {{address: '{}', partitions: [0, 2]}}\n    - {{address: '{}', partitions: [1, 3]}}\n  store_gateways: ['{}', '{}']\nlimits: {{inline: {{defaults: {{partitions: 0}}}}}}\ningester: {{hold: 0, seal_interval: 1s}}\nbucket: {{url: '{}'}}\n",
            at(0),
            at(1),
            at(2),
            at(3),
            bucket.display()
        );
        let role = |name: &str, roles: &str, port: u16| {
            Varve::new(BINARY, name, dir).roles(roles).config(&config).grpc_port(port)
        };
        let mut all = vec![
            role("ingester-0", "ingester", ports[0]),
            role("ingester-1", "ingester", ports[1]),
            role("store-gateway-0", "store-gateway", ports[2]),
            role("store-gateway-1", "store-gateway", ports[3]),
            role("distributor", "distributor", free_port()),
            role("querier", "querier", free_port()),
        ];
        all.iter_mut().for_each(Varve::start);
        Self { all }
    }

    fn distributor(&self) -> &Varve {
        &self.all[4]
    }

    fn querier(&self) -> &Varve {
        &self.all[5]
    }
}

#[test]
fn answers_equal_prometheus_before_and_after_ship_kill_and_restart() {
    let dir = tempfile::tempdir().expect("make a folder");
    let Some(judge) = Oracle::start(dir.path(), &OracleOptions::default()) else { return };
    let mut one = Varve::new(BINARY, "one", dir.path())
        .config("ingester: {hold: 0, seal_interval: 1s}\n")
        .started();
    let mut six = Six::start(dir.path());

    let targets = [judge.write_url(), one.write_url(), six.distributor().write_url()];
    let begun = now_ms();
    let Some(mut scraper) = Scraper::start(dir.path(), &targets) else { return };
    std::thread::sleep(SCRAPE_FOR);
    scraper.must_run();
    // Stopped gracefully, Prometheus delivers what is still queued.
    scraper.stop();
    let ended = now_ms() - 2_000;

    check("one process, recent data", &one, &judge, begun, ended);
    check("six processes, recent data", six.querier(), &judge, begun, ended);

    assert!(!one.ship().is_empty(), "nothing was shipped");
    assert!(!six.distributor().ship().is_empty(), "nothing was shipped");
    check("one process, shipped", &one, &judge, begun, ended);
    check("six processes, shipped", six.querier(), &judge, begun, ended);

    one.kill();
    six.all.iter_mut().for_each(Varve::kill);
    one.start();
    six.all.iter_mut().for_each(Varve::start);
    check("one process, killed and restarted", &one, &judge, begun, ended);
    check("six processes, killed and restarted", six.querier(), &judge, begun, ended);

    let shown = varve_tests::http::get(
        &one.url("/api/v1/query"),
        &[("query", "up"), ("time", &seconds(ended))],
    );
    let coverage = shown.headers.get("x-varve-coverage").cloned().unwrap_or_default();
    let coverage: serde_json::Value = serde_json::from_str(&coverage).unwrap_or_default();
    assert!(coverage["blocks"].as_u64() > Some(0), "blocks were not read: {coverage}");
    one.terminate();
}
