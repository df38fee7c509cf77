//! A kubelet's cAdvisor page: what each container on its node uses.

use super::cluster::{Node, Pod, pods};
use super::page::{Labels, Page, count, share, wave};

/// The page of a node at a moment.
pub(super) fn page(node: &Node, seconds: f64) -> String {
    let mut page = Page::default();
    let pods: Vec<Pod> = pods(seconds).into_iter().filter(|p| p.node.name == node.name).collect();
    containers(&mut page, &pods, seconds);
    networks(&mut page, &pods, seconds);
    let root: Labels<'_> = &[("id", "/")];
    page.family("machine_cpu_cores", "gauge").sample(&[], 8.0);
    page.family("machine_memory_bytes", "gauge").sample(&[], 32.0 * 1024.0 * 1024.0 * 1024.0);
    page.family("container_last_seen", "gauge").sample(&[root], 1_764_000_000.0 + seconds.floor());
    page.finish()
}

fn containers(page: &mut Page, pods: &[Pod], seconds: f64) {
    let cores =
        |pod: &Pod, c: &str| pod.of.cores * (0.3 + 0.9 * share(&format!("{}{c}", pod.name)));
    let name = |pod: &Pod, c: &str| format!("{}/{c}", pod.name);
    let bytes = |pod: &Pod, c: &str, part: f64| {
        (wave(&name(pod, c), pod.of.bytes * part, seconds) / 4096.0).floor() * 4096.0
    };
    let runs = |pod: &Pod, c: &str| pod.runs(c, seconds);

    page.family("container_cpu_usage_seconds_total", "counter");
    each(page, pods, &[("cpu", "total")], |p, c| count(&name(p, c), cores(p, c), runs(p, c)));
    page.family("container_cpu_cfs_periods_total", "counter");
    each(page, pods, &[], |p, c| (10.0 * runs(p, c)).floor());
    page.family("container_cpu_cfs_throttled_periods_total", "counter");
    each(page, pods, &[], |p, c| (10.0 * share(&name(p, c)).powi(2) * runs(p, c)).floor());
    page.family("container_spec_cpu_quota", "gauge");
    each(page, pods, &[], |p, _| p.of.cores * 200_000.0);
    page.family("container_spec_memory_limit_bytes", "gauge");
    each(page, pods, &[], |p, _| p.of.bytes * 2.0);
    for (family, part) in [
        ("container_memory_working_set_bytes", 0.8),
        ("container_memory_rss", 0.6),
        ("container_memory_cache", 0.3),
        ("container_memory_usage_bytes", 1.1),
        ("container_memory_swap", 0.0),
    ] {
        page.family(family, "gauge");
        each(page, pods, &[], |p, c| bytes(p, c, part));
    }
    for (family, rate) in [
        ("container_fs_reads_total", 4.0),
        ("container_fs_writes_total", 7.0),
        ("container_fs_reads_bytes_total", 60_000.0),
        ("container_fs_writes_bytes_total", 150_000.0),
    ] {
        page.family(family, "counter");
        each(page, pods, &[("device", "/dev/sda")], |p, c| {
            count(&name(p, c), rate * (0.2 + share(&name(p, c))), runs(p, c)).floor()
        });
    }
    page.family("container_start_time_seconds", "gauge");
    each(page, pods, &[], |p, _| 1_763_900_000.0 + p.began);
}

/// A sample for each container, and one for the pod as a whole.
fn each(page: &mut Page, pods: &[Pod], more: Labels<'_>, value: impl Fn(&Pod, &str) -> f64) {
    for pod in pods {
        let of = [("namespace", pod.of.namespace), ("pod", &*pod.name)];
        for container in pod.of.containers {
            let id = format!("/kubepods/pod{}/{container}", pod.uid);
            let own =
                [("container", *container), ("id", &id), ("image", "registry.example/app:1.4")];
            page.sample(&[&of, &own, more], value(pod, container));
        }
        let id = format!("/kubepods/pod{}", pod.uid);
        let all = pod.of.containers.iter().map(|c| value(pod, c)).sum();
        page.sample(&[&of, &[("container", ""), ("id", &id), ("image", "")], more], all);
    }
}

fn networks(page: &mut Page, pods: &[Pod], seconds: f64) {
    for (family, rate) in [
        ("container_network_receive_bytes_total", 20_000.0),
        ("container_network_transmit_bytes_total", 35_000.0),
        ("container_network_receive_packets_total", 40.0),
        ("container_network_transmit_packets_total", 55.0),
        ("container_network_receive_packets_dropped_total", 0.1),
        ("container_network_transmit_packets_dropped_total", 0.05),
    ] {
        page.family(family, "counter");
        for pod in pods {
            let id = format!("/kubepods/pod{}", pod.uid);
            let labels = [
                ("namespace", pod.of.namespace),
                ("pod", &*pod.name),
                ("interface", "eth0"),
                ("id", &id),
            ];
            let rate = rate * (0.2 + share(&pod.name));
            page.sample(&[&labels], count(&pod.name, rate, seconds - pod.began).floor());
        }
    }
}
