//! What does a dashboard cost to look at?
//!
//! A day of a cluster is written once and kept, the newest hours where the
//! server holds recent samples, the rest where it keeps the old. All servers
//! then run at the same time on the same data and are asked the same
//! [`PANELS`] in turn: once after a start with nothing in the page cache, then
//! again and again.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::answer::{Difference, Points};
use super::bench::{Bench, median, say};
use super::dashboards::{PANELS, Panel};
use super::plot;
use super::process;
use super::server::{Kind, Server, Setup};
use crate::clock::now_ms;

/// Seconds between two scrapes.
const INTERVAL: u64 = 60;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Series.
    pub series: u32,
    /// Hours of data.
    pub hours: u32,
    /// Repetitions of each query after the first.
    pub repetitions: usize,
    /// The only panel that is asked, by its number; 0 = all.
    pub only: usize,
}

impl Shape {
    /// Hours that Varve keeps in its head: as many as Prometheus may.
    fn recent(&self) -> u64 {
        u64::from((self.hours / 8).clamp(1, 3))
    }

    fn scrapes(&self) -> u64 {
        u64::from(self.hours) * 3600 / INTERVAL
    }
}

/// What one query cost one server.
#[derive(Clone, Debug, Default)]
struct Cost {
    cold: f64,
    warm: Vec<f64>,
    cpu: Duration,
}

/// One server while it is asked.
struct Asked {
    server: Server,
    /// By panel.
    costs: Vec<Cost>,
    answers: Vec<Points>,
    rss: u64,
}

/// Writes what is missing, asks all panels, and writes the page.
///
/// # Errors
/// When a server fails, an answer is empty, or Varve answers other than
/// Prometheus.
pub fn ask(bench: &Bench, shape: Shape) -> io::Result<()> {
    let end_ms = end_of_data(bench, shape)?;
    let setup = |kind: Kind| {
        let name = format!("queries-{}-{}", shape.series, shape.hours);
        Setup { caches: false, ..bench.setup(kind, &name) }
    };
    let mut loads = Vec::new();
    for kind in bench.turn(0) {
        loads.push(load(bench, shape, setup(kind), end_ms)?);
    }
    let mut all = Vec::new();
    for kind in bench.turn(0) {
        let setup = setup(kind);
        evict(&setup.dir)?;
        let server = Server::open(setup)?;
        settle(&server, Duration::from_secs(120));
        let pid = server.process.pid();
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        let rss = process::memory(pid, "VmRSS").unwrap_or(0);
        let costs = vec![Cost::default(); PANELS.len()];
        all.push(Asked { server, costs, answers: vec![Points::default(); PANELS.len()], rss });
    }
    let chosen = |i: &usize| shape.only == 0 || shape.only == i + 1;
    let panels: Vec<usize> = (0..PANELS.len()).filter(chosen).collect();
    for round in 0..=shape.repetitions {
        for (turn, i) in panels.iter().enumerate() {
            let path = PANELS[*i].path(end_ms, shape.hours);
            for k in 0..all.len() {
                let at = (k + turn + round) % all.len();
                once(&mut all[at], *i, &path, round == 0)?;
            }
        }
        say(&format!("round {round}: {}", summary(&all, &panels).join(" | ")));
    }
    for i in &panels {
        compare(&all, *i, shape.hours >= 24)?;
    }
    page(bench, shape, &all, &panels, &loads)
}

/// When the data ends: a minute when the first server was filled.
fn end_of_data(bench: &Bench, shape: Shape) -> io::Result<i64> {
    std::fs::create_dir_all(&bench.temp)?;
    let file = bench.temp.join(format!("queries-{}-{}.end", shape.series, shape.hours));
    if let Ok(text) = std::fs::read_to_string(&file) {
        return text.trim().parse().map_err(io::Error::other);
    }
    let end = now_ms() / 60_000 * 60_000;
    std::fs::write(file, end.to_string())?;
    Ok(end)
}

/// Fills a server's folder, once; says what that cost.
fn load(bench: &Bench, shape: Shape, setup: Setup, end_ms: i64) -> io::Result<String> {
    let mark = setup.dir.with_extension("loaded");
    if let Ok(text) = std::fs::read_to_string(&mark) {
        return Ok(text);
    }
    let kind = setup.kind;
    let server = Server::start(setup)?;
    let start = end_ms - (shape.scrapes() * INTERVAL * 1000) as i64;
    let begun = Instant::now();
    let part = |scrapes: u64, skip: u64| -> io::Result<f64> {
        let flags = [
            ("--series", u64::from(shape.series)),
            ("--scrapes", scrapes),
            ("--skip", skip),
            ("--interval", INTERVAL),
            ("--start", start as u64),
        ];
        let flags: Vec<String> =
            flags.iter().flat_map(|(flag, n)| [(*flag).to_owned(), n.to_string()]).collect();
        let load = Bench::end_load(bench.start_load(&server, &flags)?)?;
        Ok(load.number("acknowledged"))
    };
    let older = shape.scrapes() - shape.recent() * 3600 / INTERVAL;
    let mut samples = part(older, 0)?;
    if kind == Kind::Varve {
        server.force()?;
    }
    samples += part(shape.scrapes(), older)?;
    if kind == Kind::Victoria {
        server.force()?;
    }
    // Prometheus makes blocks of its head once a minute, a seal takes ten seconds.
    let quiet = if kind == Kind::Prometheus { 90 } else { 15 };
    std::thread::sleep(Duration::from_secs(quiet));
    settle(&server, Duration::from_secs(900));
    let text = format!(
        "{}: {:.1} M samples in {:.0} s, {:.0} CPU s",
        kind.name(),
        samples / 1e6,
        begun.elapsed().as_secs_f64(),
        server.process.cpu().as_secs_f64()
    );
    say(&text);
    end(server)?;
    std::fs::write(mark, &text)?;
    Ok(text)
}

/// Asks a server to end, and waits for it.
fn end(mut server: Server) -> io::Result<()> {
    let pid = server.process.pid().to_string();
    Command::new("kill").arg(pid).status()?;
    let begun = Instant::now();
    while server.process.must_run().is_ok() && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Waits until a server has nothing to do for two seconds.
fn settle(server: &Server, limit: Duration) {
    let (begun, mut quiet) = (Instant::now(), 0);
    while quiet < 10 && begun.elapsed() < limit {
        let before = server.process.cpu();
        std::thread::sleep(Duration::from_millis(200));
        let idle = server.process.cpu() - before < Duration::from_millis(30);
        quiet = if idle { quiet + 1 } else { 0 };
    }
}

/// Takes a folder's files out of the page cache.
fn evict(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
            continue;
        }
        // Reads nothing, but tells the kernel that the file is not needed.
        let mut command = Command::new("dd");
        command.arg(format!("if={}", path.display())).args(["iflag=nocache", "count=0"]);
        command.stderr(Stdio::null()).status()?;
    }
    Ok(())
}

fn once(asked: &mut Asked, panel: usize, path: &str, cold: bool) -> io::Result<()> {
    let (cpu, begun) = (asked.server.process.cpu(), Instant::now());
    let answer = asked.server.get(path)?;
    let seconds = begun.elapsed().as_secs_f64();
    let name = asked.server.setup.kind.name();
    if answer.status != 200 {
        let text = &answer.body[..answer.body.len().min(500)];
        return Err(io::Error::other(format!("{name}: {path}: {}: {text}", answer.status)));
    }
    asked.server.process.must_run()?;
    let cost = &mut asked.costs[panel];
    if cold {
        cost.cold = seconds;
        asked.answers[panel] = Points::read(&answer.body)?;
    } else {
        cost.warm.push(seconds);
        cost.cpu += asked.server.process.cpu() - cpu;
    }
    Ok(())
}

/// Checks that nobody is fast by being wrong.
fn compare(all: &[Asked], panel: usize, whole: bool) -> io::Result<()> {
    let expr = PANELS[panel].expr;
    let fail = |what: String| Err(io::Error::other(format!("panel {}: {expr}: {what}", panel + 1)));
    for asked in all {
        if asked.answers[panel].series() == 0 && whole {
            return fail(format!("{} finds nothing", asked.server.setup.kind.name()));
        }
    }
    match difference(all, Kind::Prometheus, panel) {
        Some(d) if d.series > 0 || d.middle > 0.01 => fail(format!("Prometheus differs: {d:?}")),
        _ => Ok(()),
    }
}

/// How far Varve's answer is from another's.
fn difference(all: &[Asked], from: Kind, panel: usize) -> Option<Difference> {
    let of = |kind| all.iter().find(|a| a.server.setup.kind == kind).map(|a| &a.answers[panel]);
    Some(of(Kind::Varve)?.difference(of(from)?))
}

fn geometric(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value.max(1e-9).ln();
        count += 1.0;
    }
    f64::exp(sum / f64::max(count, 1.0))
}

impl Asked {
    fn cold(&self, panels: &[usize]) -> f64 {
        geometric(panels.iter().map(|i| self.costs[*i].cold))
    }

    fn warm(&self, panels: &[usize]) -> f64 {
        geometric(panels.iter().map(|i| median(self.costs[*i].warm.clone())))
    }

    /// CPU seconds of one repetition of all panels.
    fn cpu(&self, panels: &[usize]) -> f64 {
        let one =
            |i: &usize| self.costs[*i].cpu.as_secs_f64() / self.costs[*i].warm.len().max(1) as f64;
        panels.iter().map(one).sum()
    }

    fn peak(&self) -> f64 {
        process::memory(self.server.process.pid(), "VmHWM").unwrap_or(0) as f64 / 1e6
    }
}

fn summary(all: &[Asked], panels: &[usize]) -> Vec<String> {
    let one = |a: &Asked| {
        format!(
            "{}: cold {:.1} ms, warm {:.1} ms, CPU {:.2} s, peak {:.0} MB",
            a.server.setup.kind.name(),
            1e3 * a.cold(panels),
            1e3 * a.warm(panels),
            a.cpu(panels),
            a.peak()
        )
    };
    all.iter().map(one).collect()
}

fn page(
    bench: &Bench,
    shape: Shape,
    all: &[Asked],
    panels: &[usize],
    loads: &[String],
) -> io::Result<()> {
    let mut report = bench.report("cost-queries", "What does a dashboard cost to look at?");
    report.notes = notes(shape, all, panels, loads);
    report.head = vec!["panel".to_owned(), "window / step".to_owned()];
    for asked in all {
        let name = asked.server.setup.kind.name();
        report.head.extend(["cold ms", "warm ms", "CPU ms"].map(|what| format!("{name} {what}")));
    }
    report.head.extend(["series", "points"].map(str::to_owned));
    let ms = |seconds: f64| format!("{:.1}", 1e3 * seconds);
    for i in panels {
        let panel: &Panel = &PANELS[*i];
        let expr = panel.expr.replace('|', "\\|");
        let mut row = vec![format!("{}. `{expr}`", i + 1), panel.window()];
        for asked in all {
            let cost = &asked.costs[*i];
            let cpu = cost.cpu.as_secs_f64() / cost.warm.len().max(1) as f64;
            row.extend([ms(cost.cold), ms(median(cost.warm.clone())), ms(cpu)]);
        }
        let answer = &all[0].answers[*i];
        row.extend([answer.series().to_string(), answer.points().to_string()]);
        report.rows.push(row);
    }
    let mut row = vec!["**geometric mean; sum of CPU**".to_owned(), String::new()];
    for asked in all {
        row.extend([ms(asked.cold(panels)), ms(asked.warm(panels)), ms(asked.cpu(panels))]);
    }
    row.extend([String::new(), String::new()]);
    report.rows.push(row);
    let names: Vec<String> = all.iter().map(|a| a.server.setup.kind.name().to_owned()).collect();
    let group = |name: &str, value: &dyn Fn(&Asked) -> f64| -> plot::Group {
        (name.to_owned(), all.iter().map(|a| Some(value(a))).collect())
    };
    let groups = [
        group("cold, ms", &|a| 1e3 * a.cold(panels)),
        group("warm, ms", &|a| 1e3 * a.warm(panels)),
        group("CPU a panel, ms", &|a| 1e3 * a.cpu(panels) / panels.len() as f64),
        group("peak RSS, MB / 10", &Asked::peak),
    ];
    let [cold, warm, cpu, (name, peaks)] = groups;
    let tenth = peaks.into_iter().map(|p| p.map(|p| p / 10.0)).collect();
    let bars = plot::bars(
        "Forty panels: geometric means of latency, CPU, memory",
        &names,
        &[cold, warm, cpu, (name, tenth)],
    );
    report.plots = vec![("cost-queries.svg".to_owned(), bars)];
    say(&report.notes.join("\n"));
    report.write(&bench.results)
}

fn notes(shape: Shape, all: &[Asked], panels: &[usize], loads: &[String]) -> Vec<String> {
    let mut notes = vec![format!(
        "{} series of Kubernetes-like data (11 labels), {} h at {INTERVAL} s. Varve holds the \
         newest {} h in its head, Prometheus what it does not make blocks of by itself, the rest \
         lies in blocks (VictoriaMetrics: merged parts). Caches of answers are off. All servers \
         run at the same time, each query goes to one after the other. Cold: the first time \
         after a start whose files were taken out of the page cache. Warm: the median of {} \
         repetitions. CPU is the server's, per warm repetition, to 10 ms of the kernel's \
         accounting.",
        shape.series,
        shape.hours,
        shape.recent(),
        shape.repetitions
    )];
    notes.push(format!("Loading: {}.", loads.join("; ")));
    let ours = all.iter().find(|a| a.server.setup.kind == Kind::Varve);
    for asked in all {
        let name = asked.server.setup.kind.name();
        let mut text = format!(
            "{name}: RSS {:.0} MB before the first query, peak {:.0} MB",
            asked.rss as f64 / 1e6,
            asked.peak()
        );
        if let Some(ours) = ours.filter(|ours| ours.server.setup.kind != asked.server.setup.kind) {
            let all = |d: &dyn Fn(Difference) -> f64| -> f64 {
                let one = |i: &usize| d(ours.answers[*i].difference(&asked.answers[*i]));
                panels.iter().map(one).fold(0.0, f64::max)
            };
            text.push_str(&format!(
                ". Varve takes {:.2} × its latency cold and {:.2} × warm, {:.2} × its CPU, {:.2} × \
                 its peak. Of the answers at most {:.2} % of a panel's points differ by more than \
                 1e-9 (Prometheus 2 counts a sample at the left end of a range, Prometheus 3 does \
                 not; VictoriaMetrics does not extrapolate); the median relative difference of a \
                 panel is at most {:.1e}",
                ours.cold(panels) / asked.cold(panels),
                ours.warm(panels) / asked.warm(panels),
                ours.cpu(panels) / asked.cpu(panels),
                ours.peak() / asked.peak(),
                100.0 * all(&|d| d.points),
                all(&|d| d.middle),
            ));
        }
        notes.push(format!("{text}."));
    }
    notes
}
