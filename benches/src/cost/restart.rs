//! How long after a kill -9 does it serve again?
//!
//! A million series and ten minutes of samples, none of it sealed: the log is
//! replayed whole. Measured from the start of the process until it says that
//! it is ready, and until a query over all targets answers in full.

use std::io;
use std::time::{Duration, Instant};

use super::bench::{Bench, say};
use super::plot;
use super::process::{self, folder_allocated};
use super::server::{Kind, Server};
use crate::load::kube::POD_SERIES;

/// Longest that is waited for.
const LIMIT: Duration = Duration::from_secs(600);

/// Measures each server, and writes the page.
///
/// # Errors
/// When a run fails or an answer stays incomplete.
pub fn ask(bench: &Bench, series: u32, scrapes: u64) -> io::Result<()> {
    let mut report = bench.report("cost-restart", "How long after a kill -9 does it serve again?");
    report.notes = vec![format!(
        "{series} series, {scrapes} scrapes of 15 s sent as fast as they are taken, then kill -9 \
         and a new start on the same folder. Varve has not sealed, so that its log holds all. \
         VictoriaMetrics has no log: what it had not flushed is lost. \"Answers\" is when \
         `count(up)` at the last scrape's time \
         is answered for all targets, of VictoriaMetrics for any."
    )];
    report.head = [
        "server",
        "M samples",
        "folder MB",
        "ready s",
        "answers s",
        "CPU s",
        "RSS MB",
        "targets found",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut groups = Vec::new();
    for kind in bench.turn(0) {
        let mut setup = bench.setup(kind, "restart");
        setup.seal_seconds = 24 * 3600;
        let mut server = Server::start(setup)?;
        let flags = ["--series", &series.to_string(), "--scrapes", &scrapes.to_string()];
        let load = bench.start_load(&server, &flags.map(str::to_owned))?;
        let load = Bench::end_load(load)?;
        server.process.kill();
        let setup = server.setup.clone();
        drop(server);
        let begun = Instant::now();
        let mut server = Server::spawn(setup)?;
        server.wait_ready(LIMIT)?;
        let ready = begun.elapsed();
        let end = (load.number("first_ms") as i64 + scrapes as i64 * 15_000) / 1000;
        let path = format!("/api/v1/query?query=count(up)&time={end}");
        let targets = series.div_ceil(POD_SERIES as u32);
        let found = loop {
            let found = count(&server.get(&path)?.body);
            // What VictoriaMetrics had not flushed does not come back.
            if found == Some(targets) || (kind == Kind::Victoria && found.is_some()) {
                break found.unwrap_or(0);
            }
            if begun.elapsed() > LIMIT {
                let name = kind.name();
                return Err(io::Error::other(format!("{name} has {found:?} of {targets} targets")));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let answers = begun.elapsed();
        let mut row = vec![
            kind.name().to_owned(),
            format!("{:.1}", load.number("acknowledged") / 1e6),
            format!("{:.0}", folder_allocated(&server.setup.dir) as f64 / 1e6),
            format!("{:.2}", ready.as_secs_f64()),
            format!("{:.2}", answers.as_secs_f64()),
            format!("{:.2}", server.process.cpu().as_secs_f64()),
            format!(
                "{:.0}",
                process::memory(server.process.pid(), "VmRSS").unwrap_or(0) as f64 / 1e6
            ),
        ];
        row.push(format!("{:.1} %", 100.0 * f64::from(found) / f64::from(targets)));
        say(&row.join(" | "));
        report.rows.push(row);
        groups.push((
            kind.name().to_owned(),
            vec![Some(ready.as_secs_f64()), Some(answers.as_secs_f64())],
        ));
        server.process.kill();
        std::fs::remove_dir_all(&server.setup.dir)?;
    }
    let names = ["ready".to_owned(), "answers".to_owned()];
    let bars = plot::bars("Seconds after a restart", &names, &groups);
    report.plots = vec![("cost-restart.svg".to_owned(), bars)];
    report.write(&bench.results)
}

/// The one value of an instant vector; 0 when it is empty.
fn count(body: &str) -> Option<u32> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let result = value["data"]["result"].as_array()?;
    result.first().map_or(Some(0), |one| one["value"][1].as_str()?.parse().ok())
}
