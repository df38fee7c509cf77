//! Committers that are processes of their own: this test program once more,
//! told by its standard input what to commit and where to stand still.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use varve_block::BlockEntry;
use varve_bucket::CutKey;

/// How long a process may take for one step.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a process says begins with it; all else is the test harness.
const MARK: &str = "committer: ";

/// What a process is to do.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub url: String,
    pub options: BTreeMap<String, String>,
    pub clock: PathBuf,
    pub place: String,
    pub block: BlockEntry,
    pub key: CutKey,
}

/// The starter's side of a process; it is ended when dropped.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<String>,
}

impl Process {
    /// Starts the ignored test `committer` of this program.
    pub fn start(order: &Order) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "committer", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", serde_json::to_string(order).unwrap()).unwrap();
        let (sender, said) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, said)) = line.split_once(MARK) {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        Self { child, stdin, said }
    }

    fn hear(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("the committer says something in time")
    }

    pub fn wait_at_gate(&mut self) {
        assert_eq!(self.hear(), "here");
    }

    /// Stops it, and lets it go on as soon as it is continued.
    pub fn stop(&mut self) {
        self.signal("STOP");
        let until = Instant::now() + PATIENCE;
        while !self.is_stopped() {
            assert!(Instant::now() < until, "it does not stop");
            std::thread::yield_now();
        }
        writeln!(self.stdin, "go on").unwrap();
    }

    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The state follows the name, which is in brackets.
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }

    pub fn go_on(&mut self) {
        self.signal("CONT");
    }

    /// The version that it has committed.
    pub fn answer(&mut self) -> u64 {
        let said = self.hear();
        let version = said.strip_prefix("committed ").unwrap_or_else(|| panic!("{said}"));
        assert!(self.child.wait().unwrap().success());
        version.parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the process: its order; `None` when nobody has one.
pub fn order() -> Option<Order> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    serde_json::from_str(&line).ok()
}

/// In the process: says something to its starter.
#[expect(clippy::print_stdout, reason = "its starter listens")]
pub fn say(text: &str) {
    println!("\n{MARK}{text}");
    std::io::stdout().flush().unwrap();
}

/// In the process: makes the first commit that comes to `place` say so, and
/// wait for a line.
pub fn stand_still_at(place: &str) {
    static BEEN: AtomicBool = AtomicBool::new(false);
    varve_runtime::fail::cfg_callback(place, || {
        if !BEEN.swap(true, Ordering::SeqCst) {
            say("here");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    })
    .unwrap();
}
