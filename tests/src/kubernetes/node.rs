//! A node_exporter's page.

use super::cluster::Node;
use super::page::{Page, count, share, wave};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const CPUS: [&str; 4] = ["0", "1", "2", "3"];
/// What a processor does, and which part of its time.
const MODES: [(&str, f64); 8] = [
    ("idle", 0.62),
    ("user", 0.22),
    ("system", 0.09),
    ("iowait", 0.04),
    ("softirq", 0.01),
    ("steal", 0.01),
    ("irq", 0.005),
    ("nice", 0.005),
];

/// The page of a node at a moment.
pub(super) fn page(node: &Node, seconds: f64) -> String {
    let mut page = Page::default();
    processors(&mut page, node, seconds);
    memory(&mut page, node, seconds);
    file_systems(&mut page, node, seconds);
    disks(&mut page, node, seconds);
    networks(&mut page, node, seconds);
    rest(&mut page, node, seconds);
    page.finish()
}

fn processors(page: &mut Page, node: &Node, seconds: f64) {
    page.family("node_cpu_seconds_total", "counter");
    for cpu in CPUS {
        for (mode, part) in MODES {
            let name = format!("{}{cpu}{mode}", node.name);
            let part = part * (0.8 + 0.4 * share(&name));
            let value = (count(&name, part, seconds) * 100.0).floor() / 100.0;
            page.sample(&[&[("cpu", cpu), ("mode", mode)]], value);
        }
    }
    for (family, middle) in [("node_load1", 3.0), ("node_load5", 2.6), ("node_load15", 2.2)] {
        let value = wave(node.name, middle, seconds);
        page.family(family, "gauge").sample(&[], (value * 100.0).round() / 100.0);
    }
    page.family("node_context_switches_total", "counter");
    page.sample(&[], count(node.name, 9_000.0, seconds).floor());
    page.family("node_intr_total", "counter");
    page.sample(&[], count(node.name, 5_000.0, seconds).floor());
}

fn memory(page: &mut Page, node: &Node, seconds: f64) {
    for (family, part) in [
        ("node_memory_MemFree_bytes", 0.2),
        ("node_memory_Buffers_bytes", 0.04),
        ("node_memory_Cached_bytes", 0.3),
        ("node_memory_Slab_bytes", 0.03),
        ("node_memory_MemAvailable_bytes", 0.52),
    ] {
        let value =
            (wave(&format!("{}{family}", node.name), 32.0 * GIB * part, seconds) / 4096.0).floor();
        page.family(family, "gauge").sample(&[], value * 4096.0);
    }
    page.family("node_memory_MemTotal_bytes", "gauge").sample(&[], 32.0 * GIB);
    page.family("node_memory_SwapTotal_bytes", "gauge").sample(&[], 0.0);
    page.family("node_memory_SwapFree_bytes", "gauge").sample(&[], 0.0);
    for (family, rate) in [("node_vmstat_pgmajfault", 3.0), ("node_vmstat_pgpgin", 900.0)] {
        page.family(family, "counter").sample(&[], count(node.name, rate, seconds).floor());
    }
}

fn file_systems(page: &mut Page, node: &Node, seconds: f64) {
    let systems = [
        ("/dev/sda1", "ext4", "/", 100.0, 0.7),
        (
            "/dev/sdb1",
            "xfs",
            "/var/lib/kubelet",
            400.0,
            if node.name == "node-c" { 0.965 } else { 0.3 },
        ),
        ("tmpfs", "tmpfs", "/run", 3.0, 0.01),
    ];
    for (family, kind) in [
        ("node_filesystem_size_bytes", 0),
        ("node_filesystem_avail_bytes", 1),
        ("node_filesystem_free_bytes", 2),
        ("node_filesystem_files", 3),
        ("node_filesystem_files_free", 4),
        ("node_filesystem_readonly", 5),
    ] {
        page.family(family, "gauge");
        for (device, fstype, mountpoint, gib, used) in systems {
            // It fills up, a little each second.
            let free: f64 = 1.0 - used - seconds / 40_000.0;
            let value = match kind {
                0 => gib * GIB,
                1 => (gib * GIB * free * 0.98).floor(),
                2 => (gib * GIB * free).floor(),
                3 => gib * 65_536.0,
                4 => (gib * 65_536.0 * free.max(0.02)).floor(),
                _ => 0.0,
            };
            let labels = [("device", device), ("fstype", fstype), ("mountpoint", mountpoint)];
            page.sample(&[&labels], value);
        }
    }
}

fn disks(page: &mut Page, node: &Node, seconds: f64) {
    for (family, rate) in [
        ("node_disk_read_bytes_total", 400_000.0),
        ("node_disk_written_bytes_total", 900_000.0),
        ("node_disk_reads_completed_total", 25.0),
        ("node_disk_writes_completed_total", 60.0),
        ("node_disk_io_time_seconds_total", 0.15),
        ("node_disk_io_time_weighted_seconds_total", 0.4),
        ("node_disk_read_time_seconds_total", 0.05),
        ("node_disk_write_time_seconds_total", 0.2),
    ] {
        page.family(family, "counter");
        for device in ["sda", "sdb", "dm-0"] {
            let name = format!("{}{device}", node.name);
            let value = count(&name, rate * (0.3 + share(&name)), seconds);
            page.sample(&[&[("device", device)]], (value * 1000.0).floor() / 1000.0);
        }
    }
}

fn networks(page: &mut Page, node: &Node, seconds: f64) {
    for (family, rate) in [
        ("node_network_receive_bytes_total", 700_000.0),
        ("node_network_transmit_bytes_total", 500_000.0),
        ("node_network_receive_packets_total", 900.0),
        ("node_network_transmit_packets_total", 800.0),
        ("node_network_receive_drop_total", 0.3),
        ("node_network_transmit_drop_total", 0.1),
        ("node_network_receive_errs_total", 0.05),
        ("node_network_transmit_errs_total", 0.0),
    ] {
        page.family(family, "counter");
        for device in ["eth0", "lo", "veth3c1d"] {
            let name = format!("{}{device}", node.name);
            let value = count(&name, rate * (0.2 + share(&name)), seconds).floor();
            page.sample(&[&[("device", device)]], value);
        }
    }
    page.family("node_network_up", "gauge");
    for device in ["eth0", "lo", "veth3c1d"] {
        page.sample(
            &[&[("device", device)]],
            if device == "veth3c1d" && seconds > 40.0 { 0.0 } else { 1.0 },
        );
    }
}

fn rest(page: &mut Page, node: &Node, seconds: f64) {
    let info = [
        ("nodename", node.name),
        ("release", "6.1.0-27"),
        ("machine", "x86_64"),
        ("sysname", "Linux"),
    ];
    page.family("node_uname_info", "gauge").sample(&[&info], 1.0);
    page.family("node_os_info", "gauge")
        .sample(&[&[("pretty_name", "Debian 12"), ("id", "debian")]], 1.0);
    page.family("node_boot_time_seconds", "gauge").sample(&[], 1_763_000_000.0);
    page.family("node_time_seconds", "gauge").sample(&[], 1_764_000_000.0 + seconds);
    page.family("node_timex_offset_seconds", "gauge");
    page.sample(&[], if node.name == "node-b" { 0.07 } else { 0.000_02 });
    page.family("node_timex_sync_status", "gauge").sample(&[], 1.0);
    page.family("node_timex_maxerror_seconds", "gauge").sample(&[], 0.02);
    page.family("node_filefd_allocated", "gauge");
    page.sample(&[], wave(node.name, 5_000.0, seconds).floor());
    page.family("node_filefd_maximum", "gauge").sample(&[], 6_500.0);
    page.family("node_nf_conntrack_entries", "gauge");
    page.sample(&[], wave(node.name, 800.0, seconds).floor());
    page.family("node_nf_conntrack_entries_limit", "gauge").sample(&[], 1_000.0);
    page.family("node_procs_running", "gauge").sample(&[], wave(node.name, 4.0, seconds).floor());
    page.family("node_procs_blocked", "gauge").sample(&[], 0.0);
    page.family("node_systemd_unit_state", "gauge");
    for (unit, failed) in [("containerd.service", false), ("backup.service", node.name == "node-a")]
    {
        for (state, set) in [("active", !failed), ("failed", failed)] {
            let labels = [("name", unit), ("state", state), ("type", "simple")];
            page.sample(&[&labels], f64::from(u8::from(set)));
        }
    }
    page.family("node_textfile_scrape_error", "gauge").sample(&[], 0.0);
    page.family("node_scrape_collector_success", "gauge");
    for collector in ["cpu", "meminfo", "hwmon"] {
        page.sample(&[&[("collector", collector)]], if collector == "hwmon" { 0.0 } else { 1.0 });
    }
}
