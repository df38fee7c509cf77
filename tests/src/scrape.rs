//! The real thing on the sending side: Debian's Prometheus scraping itself
//! and node_exporter every second, and remote-writing to all given URLs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::parts;
use crate::process::{Process, free_port};

/// A Prometheus and a node_exporter that run.
pub struct Scraper {
    _exporter: Process,
    prometheus: Process,
}

impl Scraper {
    /// Starts both; `None` when one is not installed.
    pub fn start(dir: &Path, remote_write: &[String]) -> Option<Self> {
        Self::start_with(dir, remote_write, "", None)
    }

    /// Starts both; scrapes what the entries `jobs` of the configuration name,
    /// too, and evaluates the rules of a file.
    pub fn start_with(
        dir: &Path,
        remote_write: &[String],
        jobs: &str,
        rules: Option<&Path>,
    ) -> Option<Self> {
        if !parts::require("prometheus") || !parts::require("prometheus-node-exporter") {
            return None;
        }
        let (node, own) = (free_port(), free_port());
        let exporter = Process::start(
            "node-exporter",
            dir,
            Command::new("prometheus-node-exporter")
                .arg(format!("--web.listen-address=127.0.0.1:{node}")),
        );
        let writes: String = remote_write
            .iter()
            .map(|url| {
                format!("  - url: {url}\n    send_exemplars: true\n    send_native_histograms: true\n    queue_config: {{batch_send_deadline: 500ms}}\n")
            })
            .collect();
        let rules = rules.map(|path| format!("'{}'", path.display())).unwrap_or_default();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: node\n    static_configs: [{{targets: ['127.0.0.1:{node}']}}]\n  - job_name: prometheus\n    static_configs: [{{targets: ['127.0.0.1:{own}']}}]\n{jobs}rule_files: [{rules}]\nremote_write:\n{writes}"
        );
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config).expect("write configuration");
        let prometheus = Process::start(
            "prometheus",
            dir,
            Command::new("prometheus")
                .arg(format!("--config.file={}", path.display()))
                .arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{own}"))
                .arg("--enable-feature=exemplar-storage,native-histograms"),
        );
        Some(Self { _exporter: exporter, prometheus })
    }

    /// Panics when Prometheus has ended.
    pub fn must_run(&mut self) {
        self.prometheus.must_run();
    }

    /// Stops scraping gracefully: what is queued for the receivers is
    /// delivered first, as long as they answer.
    pub fn stop(mut self) {
        self.prometheus.terminate(Duration::from_secs(90));
    }
}
