//! A server under measurement: started with its output in a file, ended by
//! its own id, its memory looked at five times a second.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cpu;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command; what it prints goes to a file.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).spawn();
        let child = child.map_err(|e| io::Error::other(format!("start {program}: {e}")))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        cpu::process(self.pid()).unwrap_or_default()
    }

    /// An error with the end of what it printed, if it has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_run(&mut self) -> io::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = text.lines().rev().take(12).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(io::Error::other(format!("a server has ended ({status}):\n{tail}")))
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Bytes of memory of a process: `VmRSS`, or `VmHWM` for its peak.
pub fn memory(pid: u32, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kb| kb << 10)
}

/// Looks at a process' memory every 200 ms until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Vec<(Duration, u64)>>>,
    highest: Arc<AtomicU64>,
}

impl Watch {
    /// Begins.
    pub fn begin(pid: u32) -> Self {
        let (stop, highest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, most) = (Arc::clone(&stop), Arc::clone(&highest));
        let thread = std::thread::spawn(move || {
            let (begun, mut seen) = (Instant::now(), Vec::new());
            while !ended.load(Ordering::Relaxed) {
                let Some(rss) = memory(pid, "VmRSS") else { break };
                most.fetch_max(rss, Ordering::Relaxed);
                seen.push((begun.elapsed(), rss));
                std::thread::sleep(Duration::from_millis(200));
            }
            seen
        });
        Self { stop, thread: Some(thread), highest }
    }

    /// The most that was seen so far, in bytes.
    pub fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// Ends; returns what was seen and when, since the beginning.
    pub fn end(mut self) -> Vec<(Duration, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Bytes of all files below a folder, as long as they are. Hard links count
/// each time.
pub fn folder_bytes(path: &Path) -> u64 {
    folder(path, &std::fs::Metadata::len)
}

/// Bytes that all files below a folder take on the disk: those that were
/// made long beforehand take only what was written.
pub fn folder_allocated(path: &Path) -> u64 {
    folder(path, &|data| 512 * data.blocks())
}

fn folder(path: &Path, size: &dyn Fn(&std::fs::Metadata) -> u64) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let one = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => folder(&entry.path(), size),
        Ok(data) => size(&data),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(one).sum()
}
