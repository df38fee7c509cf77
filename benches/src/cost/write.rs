//! What does a sample cost to write, and how fast can they come?
//!
//! CPU of the server from the first sample until the forced ship (flush and
//! merge, snapshot) has ended, per million samples; samples acknowledged a
//! second while it shares the machine with the load.

use std::io;

use super::bench::{Bench, Run, median, say};
use super::plot;
use super::server::Kind;

/// Measures each server at each number of series, and writes the page.
///
/// # Errors
/// When a run fails.
pub fn ask(bench: &Bench, series: &[u32], samples: u64) -> io::Result<()> {
    let mut report = bench.report("cost-write", "What does a sample cost to write?");
    report.notes = vec![
        format!(
            "About {} million samples a run of Kubernetes-like data (11 labels, 15 s), sent as \
             fast as they are taken over {} connections, 2,000 a request. CPU is the server's, \
             user and system, until the forced end: Varve has shipped to its bucket (a local \
             folder), VictoriaMetrics has flushed and merged, Prometheus has written a snapshot. \
             Varve acknowledges after fdatasync and seals every {} s; VictoriaMetrics and \
             Prometheus acknowledge before anything is synced. Medians of {} round(s); the \
             order of the servers rotates.",
            samples / 1_000_000,
            bench.connections,
            bench.seal_seconds,
            bench.rounds
        ),
        "\"Others\" is the CPU that everything else on the machine took meanwhile, in cores: \
         with more than a few hundredths, throughput says little, CPU somewhat."
            .to_owned(),
    ];
    report.head = [
        "series",
        "server",
        "M samples",
        "CPU s / M",
        "of it forced s (wall)",
        "M samples/s",
        "p99 request ms",
        "peak RSS MB",
        "B/sample kept",
        "load CPU s / M",
        "others",
    ]
    .map(str::to_owned)
    .to_vec();
    let (mut cpu, mut speed) = (Vec::new(), Vec::new());
    for (turn, count) in series.iter().enumerate() {
        let scrapes = (samples / u64::from(*count)).max(2);
        let flags = [("--series", u64::from(*count)), ("--scrapes", scrapes)];
        let flags: Vec<String> =
            flags.iter().flat_map(|(flag, n)| [(*flag).to_owned(), n.to_string()]).collect();
        let mut runs: Vec<Run> = Vec::new();
        for round in 0..bench.rounds {
            for kind in bench.turn(turn + round) {
                let run = bench.run(bench.setup(kind, "write"), &flags)?;
                say(&format!("{count} series: {}", row(*count, kind, &[&run]).join(" | ")));
                runs.push(run);
            }
        }
        let of = |kind: Kind| runs.iter().filter(move |r| r.kind == kind).collect::<Vec<_>>();
        for kind in &bench.servers {
            report.rows.push(row(*count, *kind, &of(*kind)));
        }
        let group = |value: fn(&Run) -> f64| {
            let one = |kind: &Kind| of(*kind).iter().map(|r| value(r)).collect::<Vec<_>>();
            let values = bench.servers.iter().map(|kind| Some(median(one(kind)))).collect();
            (format!("{count} series"), values)
        };
        cpu.push(group(cpu_per_million));
        speed.push(group(|r| r.load.number("samples_per_second") / 1e6));
    }
    let names: Vec<String> = bench.servers.iter().map(|k| k.name().to_owned()).collect();
    report.plots = vec![
        (
            "cost-write-cpu.svg".to_owned(),
            plot::bars("Server CPU seconds per million samples", &names, &cpu),
        ),
        (
            "cost-write-speed.svg".to_owned(),
            plot::bars("Million samples acknowledged a second", &names, &speed),
        ),
    ];
    report.write(&bench.results)
}

fn millions(run: &Run) -> f64 {
    run.load.number("acknowledged") / 1e6
}

fn cpu_per_million(run: &Run) -> f64 {
    run.cpu.as_secs_f64() / millions(run)
}

fn row(series: u32, kind: Kind, runs: &[&Run]) -> Vec<String> {
    let middle = |value: fn(&Run) -> f64| median(runs.iter().map(|r| value(r)).collect());
    vec![
        series.to_string(),
        kind.name().to_owned(),
        format!("{:.1}", middle(millions)),
        format!("{:.3}", middle(cpu_per_million)),
        format!("{:.1}", middle(|r| r.force.as_secs_f64())),
        format!("{:.3}", middle(|r| r.load.number("samples_per_second") / 1e6)),
        format!("{:.1}", middle(|r| r.load.number("request_seconds_p99") * 1e3)),
        format!("{:.0}", middle(|r| r.peak as f64 / 1e6)),
        format!("{:.3}", middle(|r| r.bytes as f64 / r.load.number("acknowledged"))),
        format!("{:.3}", middle(|r| r.load.number("cpu_seconds") / millions(r))),
        format!("{:.2}", middle(|r| r.others.as_secs_f64() / r.wall.as_secs_f64())),
    ]
}
