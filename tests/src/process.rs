//! Child processes: started with their output in a file, ended by pid.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running child; dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command; what it prints goes to `<dir>/<name>.log`.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log).expect("open log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|e| panic!("start {name}: {e}"));
        Self { name: name.to_owned(), child, log }
    }

    /// The process' id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Most memory that it has had resident so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status_bytes("VmHWM")
    }

    /// Memory that it has resident now, in bytes.
    pub fn memory(&self) -> u64 {
        self.status_bytes("VmRSS")
    }

    /// CPU time that all its threads have taken so far, those that have ended
    /// included, to ten milliseconds.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.pid())
    }

    fn status_bytes(&self, key: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("no {key} of {}:\n{}", self.name, self.output())) << 10
    }

    /// Everything that it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits; panics when it takes longer than `limit`.
    pub fn terminate(&mut self, limit: Duration) -> std::process::ExitStatus {
        let sent = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(sent.is_ok_and(|s| s.success()), "signal {}", self.name);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for child") {
                return status;
            }
            assert!(
                begun.elapsed() < limit,
                "{} has not ended within {limit:?}:\n{}",
                self.name,
                self.output()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Panics with the process' output when it has ended.
    pub fn must_run(&mut self) {
        assert!(!self.ended(), "{} has ended:\n{}", self.name, self.output());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(30).collect();
            eprintln!("--- the last lines of {}", self.name);
            tail.iter().rev().for_each(|l| eprintln!("{l}"));
        }
    }
}

/// CPU time that a process has taken, see [`Process::cpu`].
pub fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("read its stat");
    let fields = stat.rsplit(") ").next().expect("fields").split(' ');
    let ticks = fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// A port on loopback that was free a moment ago and that no outgoing
/// connection will be given: it lies below the range that Linux takes those
/// from. One process gets each port once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let n = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (n % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Tries `check` until it gives something; panics after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
