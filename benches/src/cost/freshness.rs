//! How soon after it is sent is a sample in an answer?
//!
//! While a load runs, one series of its own gets a sample, again and again;
//! as soon as it is acknowledged, queries ask for it until they get it.

use std::io;
use std::time::{Duration, Instant};

use super::bench::{Bench, say};
use super::plot;
use super::server::Server;
use crate::clock::now_ms;
use crate::load::http::Connection;
use crate::load::protobuf;

/// Pause between two samples.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest that a sample is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// When one sample was acknowledged and seen, after it was sent, in ms.
struct Probe {
    acknowledged: f64,
    visible: f64,
    queries: u32,
}

/// Measures each server, and writes the page.
///
/// # Errors
/// When a run fails or a sample is never seen.
pub fn ask(bench: &Bench, series: u32, rate: f64, seconds: f64) -> io::Result<()> {
    let mut report =
        bench.report("cost-freshness", "How soon after it is sent is a sample in an answer?");
    report.notes = vec![format!(
        "Load: {series} series at {rate:.0} samples a second for {seconds:.0} s. Every 50 ms one \
         sample of a series of its own is sent; once acknowledged, an instant query asks for it \
         until its value is there. All times from before sending. VictoriaMetrics runs with \
         `-search.latencyOffset=1ms` (its default hides the newest 30 s) and `nocache=1`."
    )];
    report.head = [
        "server",
        "samples",
        "acknowledged p50 ms",
        "p99 ms",
        "visible p50 ms",
        "p99 ms",
        "max ms",
        "in the first answer",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut groups = Vec::new();
    for kind in bench.turn(0) {
        let mut server = Server::start(bench.setup(kind, "freshness"))?;
        let speed = rate * 15.0 / f64::from(series);
        let scrapes = (seconds * speed / 15.0).ceil();
        let flags = [
            "--series",
            &series.to_string(),
            "--speed",
            &speed.to_string(),
            "--scrapes",
            &scrapes.to_string(),
        ];
        let mut load = bench.start_load(&server, &flags.map(str::to_owned))?;
        let mut probes = Vec::new();
        // The first seconds are about new series, which is another question.
        std::thread::sleep(Duration::from_secs_f64(seconds / 10.0));
        while load.try_wait()?.is_none() {
            probes.push(probe(&server, probes.len())?);
            std::thread::sleep(PAUSE);
        }
        Bench::end_load(load)?;
        server.process.must_run()?;
        let quantile = |q: f64, of: fn(&Probe) -> f64| {
            let mut all: Vec<f64> = probes.iter().map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            let at = (q * all.len().saturating_sub(1) as f64).round() as usize;
            all.get(at).copied().unwrap_or(f64::NAN)
        };
        let first = probes.iter().filter(|p| p.queries == 1).count();
        let row = vec![
            kind.name().to_owned(),
            probes.len().to_string(),
            format!("{:.1}", quantile(0.5, |p| p.acknowledged)),
            format!("{:.1}", quantile(0.99, |p| p.acknowledged)),
            format!("{:.1}", quantile(0.5, |p| p.visible)),
            format!("{:.1}", quantile(0.99, |p| p.visible)),
            format!("{:.1}", quantile(1.0, |p| p.visible)),
            format!("{:.1} %", 100.0 * first as f64 / probes.len().max(1) as f64),
        ];
        say(&row.join(" | "));
        report.rows.push(row);
        let bars = [0.5, 0.99].map(|q| Some(quantile(q, |p| p.visible)));
        groups.push((kind.name().to_owned(), bars.to_vec()));
        server.process.kill();
        std::fs::remove_dir_all(&server.setup.dir)?;
    }
    let names = ["p50".to_owned(), "p99".to_owned()];
    let bars = plot::bars("Milliseconds from sending to visible", &names, &groups);
    report.plots = vec![("cost-freshness.svg".to_owned(), bars)];
    report.write(&bench.results)
}

fn probe(server: &Server, number: usize) -> io::Result<Probe> {
    let mut connection = Connection::new(server.address(), LIMIT);
    let (mut labels, mut plain) = (Vec::new(), Vec::new());
    protobuf::labels(vec![("__name__", "bench_probe"), ("job", "bench")], &mut labels);
    let time = now_ms();
    protobuf::series(&labels, number as f64, time, &mut plain);
    let body = snap::raw::Encoder::new().compress_vec(&plain).map_err(io::Error::other)?;
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
        X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let begun = Instant::now();
    let answer = connection.send("POST", "/api/v1/write", headers, &body)?;
    if answer.status / 100 != 2 {
        return Err(io::Error::other(format!("a probe got {}: {}", answer.status, answer.body)));
    }
    let since = || begun.elapsed().as_secs_f64() * 1000.0;
    let acknowledged = since();
    let (seconds, millis) = (time / 1000, time % 1000);
    let path = format!("/api/v1/query?query=bench_probe&time={seconds}.{millis:03}&nocache=1");
    let expected = format!("\"{number}\"]");
    for queries in 1.. {
        let answer = connection.send("GET", &path, "", b"")?;
        if answer.body.contains(&expected) {
            return Ok(Probe { acknowledged, visible: since(), queries });
        }
        if begun.elapsed() > LIMIT {
            let what = format!("sample {number} is not in {}", answer.body);
            return Err(io::Error::other(what));
        }
    }
    Err(io::Error::other("too many queries"))
}
