//! How much memory does an active series take?
//!
//! 45 minutes of samples' time, accelerated to a steady rate: steady, with
//! 10 % of the pods replaced an hour, and with all replaced at once. Varve
//! seals every ten minutes of samples' time and ships everything once.

use std::io;
use std::time::{Duration, Instant};

use super::bench::{Bench, say};
use super::plot;
use super::process::{self, Watch};
use super::report::Report;
use super::server::{Kind, Server};

/// Seconds of samples' time in the run; what happens when.
const LENGTH: u64 = 45 * 60;
const ROLLOUT: u64 = 22 * 60;
const SHIP: u64 = 32 * 60;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Active series.
    pub series: u32,
    /// Seconds of samples' time between two scrapes.
    pub interval: u64,
    /// Samples a second.
    pub rate: f64,
    /// How the series change, a run each.
    pub changes: Vec<Change>,
}

impl Shape {
    /// How many times faster than real time it goes.
    fn speed(&self) -> f64 {
        self.rate * self.interval as f64 / f64::from(self.series)
    }
}

/// How the set of series changes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Change {
    /// Not at all.
    Steady,
    /// A tenth of the pods is replaced in an hour.
    Churn,
    /// All pods are replaced at once.
    Rollout,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Churn => "10 %/h churn",
            Self::Rollout => "full rollout",
        }
    }

    fn flags(self, interval: u64) -> Vec<String> {
        match self {
            Self::Steady => vec![],
            Self::Churn => vec!["--churn".to_owned(), "0.1".to_owned()],
            Self::Rollout => vec!["--rollout".to_owned(), (ROLLOUT / interval).to_string()],
        }
    }

    /// Series with a sample within 20 minutes at the end, for each scraped.
    fn active(self) -> f64 {
        match self {
            Self::Churn => 1.0 + 0.1 / 3.0,
            _ => 1.0,
        }
    }
}

/// What one run showed, in bytes.
struct Seen {
    before: u64,
    peak: u64,
    loaded: u64,
    settled: u64,
    points: Vec<(f64, f64)>,
}

/// Measures each server under each change, and writes the page.
///
/// # Errors
/// When a run fails.
pub fn ask(bench: &Bench, shape: &Shape) -> io::Result<()> {
    let Shape { series, interval, rate, ref changes } = *shape;
    let name = format!("cost-memory-{series}");
    let mut report = bench.report(&name, "How much memory does an active series take?");
    report.notes = vec![format!(
        "{series} series, {} scrapes of {interval} s, sent {:.1} times faster than real time \
         ({rate:.0} samples a second, of who takes them). Varve seals every 10 minutes of samples' \
         time, and everything is shipped at minute {}; a shipped sample is held 5 minutes more. \
         The others do what they do by themselves. A rollout comes at minute {}. RSS is read every \
         200 ms; \"loaded\" is the mean of the last 5 s under load, \"settled\" that of the last \
         5 s of 30 s without load. Per active series means: with a sample within 20 minutes.",
        LENGTH / interval,
        shape.speed(),
        SHIP / 60,
        ROLLOUT / 60,
    )];
    report.head = [
        "change",
        "server",
        "RSS before MB",
        "peak MB",
        "loaded MB",
        "settled MB",
        "peak B/series",
        "loaded B/series",
        "settled B/series",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut groups = Vec::new();
    for (turn, change) in changes.iter().copied().enumerate() {
        let (mut lines, mut bars) = (Vec::new(), vec![None; bench.servers.len()]);
        for kind in bench.turn(turn) {
            let seen = observe(bench, kind, change, shape)?;
            let active = f64::from(series) * change.active();
            row(&mut report, kind, change, &seen, active);
            if let Some(at) = bench.servers.iter().position(|k| *k == kind) {
                bars[at] = Some(seen.peak as f64 / active);
            }
            lines.push((kind.name().to_owned(), seen.points));
        }
        groups.push((change.name().to_owned(), bars));
        let title = format!("RSS in MB, {series} series, {}", change.name());
        let file = format!("{name}-{turn}.svg");
        report.plots.push((file, plot::lines(&title, "s", &lines)));
    }
    let names: Vec<String> = bench.servers.iter().map(|k| k.name().to_owned()).collect();
    let bars = plot::bars("Peak RSS in bytes per active series", &names, &groups);
    report.plots.insert(0, (format!("{name}.svg"), bars));
    report.write(&bench.results)
}

fn observe(bench: &Bench, kind: Kind, change: Change, shape: &Shape) -> io::Result<Seen> {
    let speed = shape.speed();
    let mut setup = bench.setup(kind, "memory");
    setup.seal_seconds = ((600.0 / speed) as u64).max(1);
    setup.hold_seconds = ((300.0 / speed) as u64).max(1);
    let mut server = Server::start(setup)?;
    let pid = server.process.pid();
    let before = process::memory(pid, "VmRSS").unwrap_or(0);
    let watch = Watch::begin(pid);
    let begun = Instant::now();
    let mut flags = change.flags(shape.interval);
    for (flag, value) in [
        ("--series", shape.series.to_string()),
        ("--interval", shape.interval.to_string()),
        ("--scrapes", (LENGTH / shape.interval).to_string()),
        ("--speed", speed.to_string()),
    ] {
        flags.extend([flag.to_owned(), value]);
    }
    let load = bench.start_load(&server, &flags)?;
    if kind == Kind::Varve {
        let due = Duration::from_secs_f64(SHIP as f64 / speed);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        server.force()?;
    }
    Bench::end_load(load)?;
    let ended = begun.elapsed();
    std::thread::sleep(Duration::from_secs(30));
    server.process.must_run()?;
    let peak = process::memory(pid, "VmHWM").unwrap_or(0).max(watch.highest());
    let all = watch.end();
    let mean = |end: Duration| {
        let begin = end.saturating_sub(Duration::from_secs(5));
        let within = || all.iter().filter(|(at, _)| (begin..=end).contains(at)).map(|(_, rss)| rss);
        within().sum::<u64>() / (within().count() as u64).max(1)
    };
    let last = all.last().map_or(ended, |(at, _)| *at);
    let points = all.iter().map(|(at, rss)| (at.as_secs_f64(), *rss as f64 / 1e6)).collect();
    let seen = Seen { before, peak, loaded: mean(ended), settled: mean(last), points };
    server.process.kill();
    std::fs::remove_dir_all(&server.setup.dir)?;
    Ok(seen)
}

fn row(report: &mut Report, kind: Kind, change: Change, seen: &Seen, active: f64) {
    let mega = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    let each = |bytes: u64| format!("{:.0}", bytes as f64 / active);
    let row = vec![
        change.name().to_owned(),
        kind.name().to_owned(),
        mega(seen.before),
        mega(seen.peak),
        mega(seen.loaded),
        mega(seen.settled),
        each(seen.peak),
        each(seen.loaded),
        each(seen.settled),
    ];
    say(&row.join(" | "));
    report.rows.push(row);
}
