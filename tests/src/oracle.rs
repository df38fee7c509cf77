//! The judge: Prometheus 3.15's storage, engine and API (tests/oracle).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::parts;
use crate::process::{Process, wait_for};

/// A running oracle.
pub struct Oracle {
    process: Process,
    url: String,
}

/// How an oracle is started.
#[derive(Clone, Debug, Default)]
pub struct OracleOptions {
    /// Remote-write URL to send everything on to, and the protocol (`v1`, `v2`).
    pub forward: Option<(String, &'static str)>,
    /// Experimental language features and delayed name removal.
    pub all_features: bool,
    /// Chunks that Prometheus 2 reads too; start timestamps are lost.
    pub plain_chunks: bool,
}

/// Builds the oracle once a test run; `None` when there is no Go.
fn binary() -> Option<&'static PathBuf> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        if !parts::require("go") {
            return None;
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle");
        let binary = std::env::current_exe().ok()?.parent()?.join("oracle");
        let status = Command::new("go")
            .args(["build", "-p", "2", "-o"])
            .arg(&binary)
            .arg(".")
            .env("CGO_ENABLED", "0")
            .current_dir(source)
            .status()
            .expect("run go");
        assert!(status.success(), "build the oracle");
        Some(binary)
    };
    BINARY.get_or_init(build).as_ref()
}

impl Oracle {
    /// Starts an oracle on `<dir>/oracle`; `None` when there is no Go.
    pub fn start(dir: &Path, options: &OracleOptions) -> Option<Self> {
        let mut command = Command::new(binary()?);
        command.arg("-dir").arg(dir.join("oracle"));
        if let Some((url, protocol)) = &options.forward {
            command.args(["-forward", url, "-forward-proto", protocol]);
        }
        if options.all_features {
            command.arg("-all-features");
        }
        if options.plain_chunks {
            command.arg("-plain-chunks");
        }
        let process = Process::start("oracle", dir, &mut command);
        let url = wait_for("the oracle's address", Duration::from_secs(30), || {
            let output = process.output();
            let line = output.lines().find(|l| l.starts_with("127.0.0.1:"))?;
            output.contains('\n').then(|| format!("http://{line}"))
        });
        Some(Self { process, url })
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it takes remote write.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url)
    }

    /// Appends a sample of every generated series at each step; times in
    /// milliseconds. Returns how many samples that was.
    pub fn generate(&mut self, start: i64, end: i64, step: i64) -> usize {
        let (start, end, step) = (start.to_string(), end.to_string(), step.to_string());
        let params = [("start", start.as_str()), ("end", &end), ("step", &step)];
        let answer = crate::http::post(&format!("{}/generate", self.url), &params);
        assert_eq!(answer.status, 200, "generate: {}", answer.body);
        self.process.must_run();
        answer.body.trim().parse().expect("a number of samples")
    }
}
