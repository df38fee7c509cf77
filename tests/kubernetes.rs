//! The dashboards and rules of a Kubernetes cluster: Debian's Prometheus
//! scrapes the pages of a cluster (tests/src/kubernetes), a real node_exporter
//! and itself every second, evaluates recording rules and alerts
//! (kubernetes/rules.yml), and remote-writes to Varve and to the judge. The
//! expressions of kubernetes/queries.promql are then asked of both, instant
//! and range, over recent data and over shipped blocks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use varve_runtime::{Clock, SystemClock};
use varve_tests::compare::{ask_both, samples};
use varve_tests::kubernetes::Cluster;
use varve_tests::oracle::{Oracle, OracleOptions};
use varve_tests::report::report;
use varve_tests::scrape::Scraper;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");
const SCRAPE_FOR: Duration = Duration::from_secs(65);
/// How many expressions there are at least, and how many of them have data.
const AT_LEAST: usize = 150;
const WITH_DATA: usize = 130;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kubernetes").join(name)
}

/// The expressions: paragraphs, without lines that begin with #.
fn expressions() -> Vec<String> {
    let text = std::fs::read_to_string(file("queries.promql")).expect("read the expressions");
    let lines = |paragraph: &str| {
        let lines: Vec<&str> = paragraph.lines().filter(|l| !l.starts_with('#')).collect();
        lines.join("\n")
    };
    text.split("\n\n").map(lines).filter(|e| !e.trim().is_empty()).collect()
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Asks everything, instant and range; panics with every difference, and
/// returns how many instant answers have data.
fn check(step: &str, varve: &Varve, judge: &Oracle, begun: i64, ended: i64) -> usize {
    let (start, end) = (seconds(begun + 20_000), seconds(ended));
    let (mut wrong, mut with_data) = (Vec::new(), 0);
    for query in expressions() {
        let instant = [("query", query.as_str()), ("time", &end)];
        let range = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "7")];
        let mut ask = |path: &str, params: &[(&str, &str)]| {
            let asked = ask_both(&varve.url(""), judge.url(), path, params);
            asked.map_or_else(
                |e| {
                    wrong.push(format!("{path} {query}: {e}"));
                    0
                },
                |data| samples(&data),
            )
        };
        let found = ask("/api/v1/query", &instant);
        ask("/api/v1/query_range", &range);
        with_data += usize::from(found > 0);
        if found == 0 {
            report(format!("{step}: no data: {query}"));
        }
    }
    assert!(wrong.is_empty(), "{step}: {} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    with_data
}

#[test]
fn dashboards_and_rules_of_a_cluster_get_the_judges_answers() {
    let all = expressions().len();
    assert!(all >= AT_LEAST, "only {all} expressions");
    let dir = tempfile::tempdir().expect("make a folder");
    let Some(judge) = Oracle::start(dir.path(), &OracleOptions::default()) else { return };
    let varve = Varve::new(BINARY, "varve", dir.path())
        .config("ingester: {hold: 0, seal_interval: 1s}\n")
        .started();
    let cluster = Cluster::start();
    let targets = [judge.write_url(), varve.write_url()];
    let begun = SystemClock.now_ms();
    let (jobs, rules) = (cluster.scrape_jobs(), file("rules.yml"));
    let rules = rules.canonicalize().expect("the rules are there");
    let scraper = Scraper::start_with(dir.path(), &targets, &jobs, Some(&rules));
    let Some(mut scraper) = scraper else { return };
    std::thread::sleep(SCRAPE_FOR);
    scraper.must_run();
    let ended = SystemClock.now_ms() - 2_000;
    scraper.stop();

    let with_data = check("recent data", &varve, &judge, begun, ended);
    assert!(!varve.ship().is_empty(), "nothing was shipped");
    assert_eq!(check("shipped", &varve, &judge, begun, ended), with_data);
    report(format!("{with_data} of {all} expressions have data"));
    assert!(with_data >= WITH_DATA, "only {with_data} of {all} expressions have data");
}
