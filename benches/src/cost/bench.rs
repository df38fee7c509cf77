//! What every question needs: the programs, a folder for each run, a load as
//! a process of its own, and the turn of the servers.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::machine;
use super::process::{Watch, memory};
use super::report::Report;
use super::server::{Kind, Server, Setup};

/// The programs and places of all benches.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Program of Varve.
    pub varve: PathBuf,
    /// Program of VictoriaMetrics.
    pub victoria: PathBuf,
    /// Program of Prometheus.
    pub prometheus: PathBuf,
    /// Program of the load generator.
    pub load: PathBuf,
    /// Who takes part.
    pub servers: Vec<Kind>,
    /// Where servers keep their data.
    pub temp: PathBuf,
    /// Where results go.
    pub results: PathBuf,
    /// What this run is called, such as the commit.
    pub label: String,
    /// Connections of the load.
    pub connections: usize,
    /// Varve: seconds between two seals.
    pub seal_seconds: u64,
    /// Times that everything is done.
    pub rounds: usize,
}

/// What a load said of itself.
#[derive(Clone, Debug)]
pub struct Load(Value);

impl Load {
    /// One of its numbers; 0 when it has none of that name.
    pub fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or(0.0)
    }
}

/// A run from an empty server to the end of the forced work.
#[derive(Debug)]
pub struct Run {
    /// The server.
    pub kind: Kind,
    /// The load's own figures.
    pub load: Load,
    /// How long the forced work took.
    pub force: Duration,
    /// CPU of the server from the first sample to the end of the forced work.
    pub cpu: Duration,
    /// CPU of everybody but the server and the load meanwhile.
    pub others: Duration,
    /// All the time meanwhile.
    pub wall: Duration,
    /// The most memory, in bytes.
    pub peak: u64,
    /// What is kept for good, in bytes.
    pub bytes: u64,
}

impl Bench {
    /// The setup of a server whose data lies in a folder of that name.
    pub fn setup(&self, kind: Kind, name: &str) -> Setup {
        let program = match kind {
            Kind::Varve => &self.varve,
            Kind::Victoria => &self.victoria,
            Kind::Prometheus => &self.prometheus,
        };
        Setup {
            kind,
            program: program.clone(),
            dir: self.temp.join(format!("{name}-{}", kind.name().to_lowercase())),
            partitions: 1,
            seal_seconds: self.seal_seconds,
            hold_seconds: 300,
            caches: true,
        }
    }

    /// The servers, another one first each time.
    pub fn turn(&self, turn: usize) -> Vec<Kind> {
        let mut kinds = self.servers.clone();
        let by = turn % kinds.len().max(1);
        kinds.rotate_left(by);
        kinds
    }

    /// Starts a load towards a server.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start_load(&self, server: &Server, flags: &[String]) -> io::Result<Child> {
        let mut command = Command::new(&self.load);
        command.arg("--url").arg(server.write_url()).args(flags);
        command.arg("--connections").arg(self.connections.to_string());
        command.stdout(Stdio::piped());
        command.spawn().map_err(|e| io::Error::other(format!("{}: {e}", self.load.display())))
    }

    /// Waits for a load's end. Refused samples are an error: the answer would
    /// be about something else than what was asked.
    ///
    /// # Errors
    /// When it failed, or samples were refused.
    pub fn end_load(child: Child) -> io::Result<Load> {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("the load has failed: {}", output.status)));
        }
        let value: Value = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
        if value["refused"].as_u64() != Some(0) {
            return Err(io::Error::other(format!("samples were refused: {value}")));
        }
        Ok(Load(value))
    }

    /// Starts a server, sends a load, forces the rest, and measures.
    ///
    /// # Errors
    /// When anything of it fails.
    pub fn run(&self, setup: Setup, flags: &[String]) -> io::Result<Run> {
        let kind = setup.kind;
        let mut server = Server::start(setup)?;
        let watch = Watch::begin(server.process.pid());
        let (begun, idle, busy) = (Instant::now(), server.process.cpu(), machine::busy());
        let load = Self::end_load(self.start_load(&server, flags)?)?;
        server.process.must_run()?;
        let forced = Instant::now();
        server.force()?;
        let force = forced.elapsed();
        let (wall, cpu) = (begun.elapsed(), server.process.cpu() - idle);
        let load_cpu = load.number("cpu_seconds") + load.number("setup_cpu_seconds");
        let ours = cpu + Duration::from_secs_f64(load_cpu);
        let others = (machine::busy() - busy).saturating_sub(ours);
        let peak = memory(server.process.pid(), "VmHWM").unwrap_or(0).max(watch.highest());
        drop(watch);
        let bytes = server.bytes();
        server.process.kill();
        std::fs::remove_dir_all(&server.setup.dir)?;
        Ok(Run { kind, load, force, cpu, others, wall, peak, bytes })
    }

    /// A page with the circumstances of this run.
    pub fn report(&self, name: &str, title: &str) -> Report {
        let mut circumstances = vec![
            format!("Date: {}; run: {}", machine::date(), self.label),
            format!("Machine: {}, shared by server and load", machine::describe()),
        ];
        for kind in &self.servers {
            let version = machine::version(&self.setup(*kind, "").program);
            circumstances.push(format!("{}: {version}", kind.name()));
        }
        // Programs by name alone: their folders are nobody's business.
        let words = std::env::args().map(|word| match word.starts_with('/') {
            true => word.rsplit('/').next().unwrap_or_default().to_owned(),
            false => word,
        });
        circumstances.push(format!("Command: `{}`", words.collect::<Vec<_>>().join(" ")));
        Report {
            name: name.to_owned(),
            title: title.to_owned(),
            circumstances,
            ..Report::default()
        }
    }
}

/// Says how far a bench is, on standard error.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
