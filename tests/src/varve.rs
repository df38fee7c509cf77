//! Varve as a user runs it: the binary, with ports of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::http::{self, Response};
use crate::process::{Process, free_port, wait_for};

/// A Varve process that can be killed and started again on the same folder.
pub struct Varve {
    name: String,
    binary: PathBuf,
    dir: PathBuf,
    http: u16,
    grpc: u16,
    args: Vec<String>,
    env: Vec<(String, String)>,
    process: Option<Process>,
}

impl Varve {
    /// A process that has not been started. `binary` is
    /// `env!("CARGO_BIN_EXE_varve")` of the test; `dir` keeps data and logs.
    pub fn new(binary: &str, name: &str, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            dir: dir.to_owned(),
            http: free_port(),
            grpc: free_port(),
            args: Vec::new(),
            env: Vec::new(),
            process: None,
        }
    }

    /// Runs only these roles.
    pub fn roles(mut self, roles: &str) -> Self {
        self.args.extend(["--roles".to_owned(), roles.to_owned()]);
        self
    }

    /// Uses this configuration.
    pub fn config(mut self, yaml: &str) -> Self {
        let path = self.dir.join(format!("{}.yaml", self.name));
        std::fs::write(&path, yaml).expect("write configuration");
        self.args.extend(["--config-file".to_owned(), path.to_string_lossy().into_owned()]);
        self
    }

    /// Starts it by the command that a page of the documentation gives: the
    /// first `sh` block that begins with `varve run`.
    pub fn documented(mut self, page: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{page}: {e}"));
        let command =
            text.split("```sh\nvarve run ").nth(1).and_then(|rest| rest.split("```").next());
        let command = command.unwrap_or_else(|| panic!("{page} has no block with varve run"));
        self.args.extend(command.replace("\\\n", " ").split_whitespace().map(str::to_owned));
        self
    }

    /// Keeps blocks there.
    pub fn bucket(mut self, url: &str) -> Self {
        self.args.extend(["--bucket-url".to_owned(), url.to_owned()]);
        self
    }

    /// Sets an environment variable, from the next start on.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, value);
        self
    }

    /// Sets or (with an empty value) clears an environment variable, from the next start on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        if !value.is_empty() {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Listens on this gRPC port (before the first start).
    pub fn grpc_port(mut self, port: u16) -> Self {
        self.grpc = port;
        self
    }

    /// Starts it and waits until it is ready.
    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(&mut self) {
        self.launch();
        let url = self.url("/-/ready");
        let process = self.process.as_mut().expect("was started");
        wait_for("varve is ready", Duration::from_secs(60), || {
            process.must_run();
            (http::get(&url, &[]).status == 200).then_some(())
        });
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self) {
        let mut command = Command::new(&self.binary);
        command
            .arg("run")
            .args(["--http-listen", &format!("127.0.0.1:{}", self.http)])
            .args(["--grpc-listen", &format!("127.0.0.1:{}", self.grpc)])
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)));
        self.process = Some(Process::start(&self.name, &self.dir, &mut command));
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(format!("{}-data", self.name))
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it gracefully.
    pub fn terminate(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = process.terminate(Duration::from_secs(90));
            assert!(status.success(), "{} ended with {status}:\n{}", self.name, process.output());
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) {
        if let Some(process) = self.process.as_mut() {
            wait_for("varve has ended", Duration::from_secs(60), || process.ended().then_some(()));
        }
        self.process = None;
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("is running")
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    /// The gRPC address.
    pub fn grpc_address(&self) -> String {
        format!("127.0.0.1:{}", self.grpc)
    }

    /// Where it takes remote write.
    pub fn write_url(&self) -> String {
        self.url("/api/v1/write")
    }

    /// Ships everything now; returns the ids of the blocks.
    pub fn ship(&self) -> Vec<String> {
        let answer = self.try_ship();
        assert_eq!(answer.status, 200, "ship: {}", answer.body);
        let blocks = answer.json()["data"]["blocks"].clone();
        serde_json::from_value(blocks).unwrap_or_else(|e| panic!("{e}: {}", answer.body))
    }

    /// Asks to ship everything now.
    pub fn try_ship(&self) -> Response {
        http::post(&self.url("/api/v1/admin/ship"), &[])
    }
}
