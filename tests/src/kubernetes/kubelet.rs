//! A kubelet's own page: its pods, its volumes, its operations.

use super::cluster::{Node, pods};
use super::page::{Page, count, share, wave};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const SECONDS: [f64; 8] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The page of a node at a moment.
pub(super) fn page(node: &Node, seconds: f64) -> String {
    let mut page = Page::default();
    let pods: Vec<_> = pods(seconds).into_iter().filter(|p| p.node.name == node.name).collect();
    let containers: usize = pods.iter().map(|p| p.of.containers.len()).sum();
    page.family("kubelet_node_name", "gauge").sample(&[&[("node", node.name)]], 1.0);
    page.family("kubelet_running_pods", "gauge").sample(&[], pods.len() as f64);
    page.family("kubelet_running_containers", "gauge");
    page.sample(&[&[("container_state", "running")]], containers as f64);
    page.sample(&[&[("container_state", "exited")]], 1.0);

    let volumes = [("data-database-0", 0.97, "node-b"), ("data-database-1", 0.4, "node-c")];
    let here = || volumes.iter().filter(|(_, _, on)| *on == node.name);
    // The first fills up by a hundredth of itself in a minute.
    let used = |part: f64| (10.0 * GIB * (part + seconds / 6000.0).min(1.0)).floor();
    for (family, value) in [
        ("kubelet_volume_stats_capacity_bytes", (|_| 10.0 * GIB) as fn(f64) -> f64),
        ("kubelet_volume_stats_inodes", |_| 655_360.0),
        ("kubelet_volume_stats_inodes_used", |part| (655_360.0 * part / 8.0).floor()),
        ("kubelet_volume_stats_inodes_free", |part| (655_360.0 * (1.0 - part / 8.0)).floor()),
    ] {
        page.family(family, "gauge");
        for (claim, part, _) in here() {
            let labels = [("namespace", "shop"), ("persistentvolumeclaim", *claim)];
            page.sample(&[&labels], value(*part));
        }
    }
    for (family, free) in
        [("kubelet_volume_stats_used_bytes", false), ("kubelet_volume_stats_available_bytes", true)]
    {
        page.family(family, "gauge");
        for (claim, part, _) in here() {
            let labels = [("namespace", "shop"), ("persistentvolumeclaim", *claim)];
            let bytes = if free { 10.0 * GIB - used(*part) } else { used(*part) };
            page.sample(&[&labels], bytes);
        }
    }

    page.family("kubelet_runtime_operations_total", "counter");
    for operation in ["create_container", "start_container", "container_status", "list_containers"]
    {
        let rate = 0.5 + 4.0 * share(operation);
        page.sample(&[&[("operation_type", operation)]], count(operation, rate, seconds).floor());
    }
    page.family("kubelet_runtime_operations_errors_total", "counter");
    page.sample(&[&[("operation_type", "container_status")]], (seconds / 7.0).floor());
    page.family("kubelet_pleg_relist_duration_seconds", "histogram");
    page.histogram(&[], &SECONDS, count(node.name, 1.0, seconds), 0.02);
    page.family("kubelet_pod_worker_duration_seconds", "histogram");
    for operation in ["create", "sync"] {
        let labels = [("operation_type", operation)];
        let rate = 0.2 + share(operation);
        page.histogram(&[&labels], &SECONDS, count(operation, rate, seconds), 0.4);
    }
    page.family("process_resident_memory_bytes", "gauge");
    page.sample(&[], wave(node.name, 9.0e7, seconds).floor());
    page.family("process_cpu_seconds_total", "counter");
    page.sample(&[], count(node.name, 0.06, seconds));
    page.family("go_goroutines", "gauge").sample(&[], wave(node.name, 300.0, seconds).floor());
    page.finish()
}
