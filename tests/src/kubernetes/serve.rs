//! Serving the pages: one small HTTP server on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{NODES, cadvisor, control, kubelet, node, state};

/// A cluster whose pages are served until it is dropped.
pub struct Cluster {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Begins to serve on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let address = listener.local_addr().expect("has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (begun, stopped) = (Instant::now(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                // A scraper that goes away in the middle asks again.
                let _ = answer(&connection, begun.elapsed());
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Scrape jobs of Prometheus' configuration that scrape all of it, with
    /// the labels that an operator's monitors give.
    pub fn scrape_jobs(&self) -> String {
        let target = |path: &str, labels: &str| {
            format!(
                "      - targets: ['{}']\n        labels: {{__metrics_path__: '{path}', {labels}}}\n",
                self.address
            )
        };
        let each = |prefix: &str, port: u16, labels: &str| -> String {
            let one = |n: &super::cluster::Node| {
                let labels = format!("instance: '{}:{port}', node: {}{labels}", n.address, n.name);
                target(&format!("{prefix}/{}", n.name), &labels)
            };
            NODES.iter().map(one).collect()
        };
        let kubelets = [
            each("/cadvisor", 10250, ", metrics_path: /metrics/cadvisor"),
            each("/kubelet", 10250, ", metrics_path: /metrics"),
        ];
        let jobs = [
            ("kube-state-metrics", target("/state", "instance: '10.1.0.9:8080'")),
            ("kubelet", kubelets.concat()),
            ("node-exporter", each("/node", 9100, "")),
            ("apiserver", target("/apiserver", "instance: '10.0.0.1:6443'")),
            ("coredns", target("/coredns", "instance: '10.1.0.3:9153'")),
        ];
        let job = |(name, targets): &(&str, String)| {
            format!("  - job_name: {name}\n    honor_labels: true\n    static_configs:\n{targets}")
        };
        jobs.iter().map(job).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut connection: &TcpStream, elapsed: Duration) -> std::io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    // The rest of the request's head says nothing that is of interest.
    while lines.next().transpose()?.is_some_and(|l| !l.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match page(path, elapsed.as_secs_f64()) {
        Some(page) => ("200 OK", page),
        None => ("404 Not Found", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())
}

fn page(path: &str, seconds: f64) -> Option<String> {
    let node = path.rsplit('/').next().and_then(|n| NODES.iter().find(|node| node.name == n));
    match (path.split('/').nth(1)?, node) {
        ("state", _) => Some(state::page(seconds)),
        ("apiserver", _) => Some(control::api_server(seconds)),
        ("coredns", _) => Some(control::dns(seconds)),
        ("cadvisor", Some(node)) => Some(cadvisor::page(node, seconds)),
        ("kubelet", Some(node)) => Some(kubelet::page(node, seconds)),
        ("node", Some(node)) => Some(node::page(node, seconds)),
        _ => None,
    }
}
