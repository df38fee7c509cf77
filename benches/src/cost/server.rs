//! The servers that are compared: how each is started on free loopback ports
//! and a fresh folder, told to finish its work, and asked for its size.
//!
//! Defaults are kept, except: limits and timers that accelerated samples
//! would hit. VictoriaMetrics acknowledges before anything is on disk
//! (it flushes every few seconds), Prometheus before it has synced its log;
//! Varve acknowledges after fdatasync.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Process, folder_bytes};
use crate::load::http::{Answer, Connection};

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Ours.
    Varve,
    /// Debian's package `victoria-metrics`.
    Victoria,
    /// Debian's package `prometheus`.
    Prometheus,
}

impl Kind {
    /// The name that readers know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Varve => "Varve",
            Self::Victoria => "VictoriaMetrics",
            Self::Prometheus => "Prometheus",
        }
    }
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The product.
    pub kind: Kind,
    /// Its program.
    pub program: PathBuf,
    /// Where it keeps everything; emptied before.
    pub dir: PathBuf,
    /// Varve: partitions.
    pub partitions: u32,
    /// Varve: seconds between two seals.
    pub seal_seconds: u64,
    /// Varve: seconds for which shipped samples stay in memory.
    pub hold_seconds: u64,
    /// Whether answers may come from caches of answers.
    pub caches: bool,
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    /// What it was started with.
    pub setup: Setup,
    /// The process.
    pub process: Process,
    address: String,
}

/// Two ports on loopback that nobody has.
fn free_ports() -> io::Result<(u16, u16)> {
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((a.local_addr()?.port(), b.local_addr()?.port()))
}

impl Server {
    /// Starts it on an empty folder and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or is not ready within a minute.
    pub fn start(setup: Setup) -> io::Result<Self> {
        if setup.dir.exists() {
            std::fs::remove_dir_all(&setup.dir)?;
        }
        std::fs::create_dir_all(&setup.dir)?;
        let mut server = Self::spawn(setup)?;
        server.wait_ready(Duration::from_secs(60))?;
        Ok(server)
    }

    /// Starts it on the folder as it is and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or is not ready within ten minutes.
    pub fn open(setup: Setup) -> io::Result<Self> {
        let mut server = Self::spawn(setup)?;
        server.wait_ready(Duration::from_secs(600))?;
        Ok(server)
    }

    /// Starts it on the folder as it is, and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(setup: Setup) -> io::Result<Self> {
        let (http, other) = free_ports()?;
        let address = format!("127.0.0.1:{http}");
        let mut command = Command::new(&setup.program);
        let dir = &setup.dir;
        match setup.kind {
            Kind::Varve => {
                let config = dir.join("varve.yaml");
                std::fs::write(&config, varve_yaml(&setup, http, other))?;
                command.arg("run").arg("--config-file").arg(config);
            }
            Kind::Victoria => {
                command.arg(format!("-storageDataPath={}", dir.join("data").display()));
                command.arg(format!("-httpListenAddr={address}"));
                command.arg("-search.latencyOffset=1ms");
                if !setup.caches {
                    command.args(["-search.disableCache", "-search.maxQueryDuration=10m"]);
                }
            }
            Kind::Prometheus => {
                let config = dir.join("prometheus.yml");
                std::fs::write(&config, "global: {scrape_interval: 1h}\n")?;
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
                command.arg(format!("--web.listen-address={address}"));
                command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
            }
        }
        let process = Process::start(&mut command, &dir.join("server.log"))?;
        Ok(Self { setup, process, address })
    }

    /// Where samples go.
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// Where it listens, as host:port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready within the limit.
    pub fn wait_ready(&mut self, limit: Duration) -> io::Result<Duration> {
        let begun = Instant::now();
        let path = if self.setup.kind == Kind::Victoria { "/health" } else { "/-/ready" };
        loop {
            self.process.must_run()?;
            if self.get(path).is_ok_and(|a| a.status == 200) {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > limit {
                let name = self.setup.kind.name();
                return Err(io::Error::other(format!("{name} is not ready after {limit:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Finishes everything that is under way or due later: Varve cuts and
    /// ships all it holds; VictoriaMetrics flushes and merges to one part;
    /// Prometheus writes its head as a block into a snapshot.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn force(&self) -> io::Result<()> {
        match self.setup.kind {
            Kind::Varve => self.post("/api/v1/admin/ship").map(|_| ()),
            Kind::Prometheus => self.post("/api/v1/admin/tsdb/snapshot").map(|_| ()),
            Kind::Victoria => {
                self.ok(self.get("/internal/force_flush")?)?;
                self.ok(self.get("/internal/force_merge")?)?;
                self.merged()
            }
        }
    }

    /// Forced merges run on after their request has been answered.
    fn merged(&self) -> io::Result<()> {
        let mut quiet = 0;
        while quiet < 5 {
            let before = self.process.cpu();
            std::thread::sleep(Duration::from_millis(200));
            let metrics = self.get("/metrics")?.body;
            let active = |name: &str| {
                let lines = metrics.lines().filter(|l| l.starts_with(name));
                lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
            };
            let merging = active("vm_active_merges") + active("vm_active_force_merges");
            let idle = self.process.cpu() - before < Duration::from_millis(40);
            quiet = if merging == 0.0 && idle { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Bytes of what is kept for good after [`Server::force`].
    pub fn bytes(&self) -> u64 {
        let data = self.setup.dir.join("data");
        match self.setup.kind {
            Kind::Varve => folder_bytes(&data.join("bucket")),
            Kind::Prometheus => folder_bytes(&data.join("snapshots")),
            Kind::Victoria => {
                folder_bytes(&data.join("data")) + folder_bytes(&data.join("indexdb"))
            }
        }
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        Connection::new(&self.address, Duration::from_secs(600)).send("GET", path, "", b"")
    }

    fn post(&self, path: &str) -> io::Result<Answer> {
        let mut connection = Connection::new(&self.address, Duration::from_secs(3600));
        self.ok(connection.send("POST", path, "", b"")?)
    }

    fn ok(&self, answer: Answer) -> io::Result<Answer> {
        if answer.status / 100 == 2 {
            return Ok(answer);
        }
        let name = self.setup.kind.name();
        Err(io::Error::other(format!("{name} says {}: {}", answer.status, answer.body)))
    }
}

/// Windows are cut by the forced ship alone: samples that come faster than
/// time would otherwise be cut in pieces that real time does not make.
fn varve_yaml(setup: &Setup, http: u16, grpc: u16) -> String {
    let data: &Path = &setup.dir.join("data");
    format!(
        "data_dir: {data}\n\
         server: {{http_listen: '127.0.0.1:{http}', grpc_listen: '127.0.0.1:{grpc}'}}\n\
         log: {{filter: warn}}\n\
         cluster: {{partitions: {partitions}}}\n\
         ingester: {{seal_interval: {seal}s, cut_delay: 720h, hold: {hold}s}}\n\
         limits: {{inline: {{defaults: {{partitions: 0}}}}}}\n",
        data = data.display(),
        partitions = setup.partitions,
        seal = setup.seal_seconds,
        hold = setup.hold_seconds,
    )
}
