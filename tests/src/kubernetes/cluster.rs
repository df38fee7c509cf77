//! Who is in the cluster: nodes, workloads, and their pods at a moment.

use super::page::share;

/// A node: its name and address.
pub struct Node {
    /// The name that Kubernetes has for it.
    pub name: &'static str,
    /// Its address.
    pub address: &'static str,
}

/// The nodes.
pub const NODES: [Node; 3] = [
    Node { name: "node-a", address: "10.0.0.1" },
    Node { name: "node-b", address: "10.0.0.2" },
    Node { name: "node-c", address: "10.0.0.3" },
];

/// What runs pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// A workload.
pub(super) struct Workload {
    pub(super) namespace: &'static str,
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) replicas: usize,
    pub(super) containers: &'static [&'static str],
    /// Cores that each container asks for; the limit is twice that.
    pub(super) cores: f64,
    /// Bytes that each container asks for; the limit is twice that.
    pub(super) bytes: f64,
}

const MIB: f64 = 1024.0 * 1024.0;

const fn workload(
    namespace: &'static str,
    kind: Kind,
    name: &'static str,
    replicas: usize,
    containers: &'static [&'static str],
    cores: f64,
    mib: f64,
) -> Workload {
    Workload { namespace, kind, name, replicas, containers, cores, bytes: mib * MIB }
}

/// The workloads.
pub(super) const WORKLOADS: [Workload; 10] = [
    workload("kube-system", Kind::Deployment, "coredns", 2, &["coredns"], 0.1, 70.0),
    workload("kube-system", Kind::DaemonSet, "kube-proxy", 3, &["kube-proxy"], 0.05, 64.0),
    workload("monitoring", Kind::Deployment, "grafana", 1, &["grafana", "sidecar"], 0.2, 256.0),
    workload(
        "monitoring",
        Kind::StatefulSet,
        "prometheus",
        1,
        &["prometheus", "reloader"],
        1.0,
        2048.0,
    ),
    workload("monitoring", Kind::DaemonSet, "node-exporter", 3, &["node-exporter"], 0.1, 48.0),
    workload("payments", Kind::Deployment, "ledger", 2, &["app"], 0.5, 384.0),
    workload("payments", Kind::Deployment, "gateway", 2, &["app", "proxy"], 0.25, 192.0),
    workload("shop", Kind::Deployment, "checkout", 3, &["app", "proxy"], 0.3, 256.0),
    workload("shop", Kind::Deployment, "cart", 2, &["app"], 0.2, 160.0),
    workload("shop", Kind::StatefulSet, "database", 2, &["postgres"], 1.0, 1024.0),
];

/// The namespaces.
pub(super) const NAMESPACES: [&str; 4] = ["kube-system", "monitoring", "payments", "shop"];

/// When a pod of `cart` is replaced, in seconds.
const REPLACED_AT: f64 = 30.0;
/// When a container of `checkout` restarts, in seconds.
const RESTARTED_AT: f64 = 36.0;

/// A pod.
pub(super) struct Pod {
    pub(super) of: &'static Workload,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) node: &'static Node,
    /// Seconds from the cluster's beginning to its own.
    pub(super) began: f64,
}

/// The pods at a moment.
pub(super) fn pods(seconds: f64) -> Vec<Pod> {
    let mut all = Vec::new();
    for of in &WORKLOADS {
        for i in 0..of.replicas {
            let replaced = of.name == "cart" && i == 1 && seconds >= REPLACED_AT;
            let name = match of.kind {
                Kind::StatefulSet => format!("{}-{i}", of.name),
                Kind::DaemonSet => format!("{}-{}", of.name, ["2xk7p", "9fhwq", "tz4md"][i % 3]),
                Kind::Deployment => {
                    let suffix = ["8jq2m", "c5vnw", "x7rkd", "p4zhs"][if replaced { 3 } else { i }];
                    format!("{}-{suffix}", replica_set(of))
                }
            };
            let uid = format!("{:08x}-0000-4000-8000-{:012x}", hash(&name), hash(of.name));
            let node = &NODES[(i + of.name.len()) % NODES.len()];
            let began = if replaced { REPLACED_AT } else { 0.0 };
            all.push(Pod { of, name, uid, node, began });
        }
    }
    all
}

fn hash(name: &str) -> u64 {
    (share(name) * f64::from(u32::MAX)) as u64
}

/// The replica set of a deployment.
pub(super) fn replica_set(of: &Workload) -> String {
    format!("{}-{:x}", of.name, hash(of.name) % 0xffff_ffff)
}

impl Pod {
    /// Whether it never gets ready: its rollout is stuck.
    pub(super) fn crashes(&self) -> bool {
        self.of.name == "ledger" && self.name.ends_with("c5vnw")
    }

    /// How often a container has been restarted.
    pub(super) fn restarts(&self, container: &str, seconds: f64) -> f64 {
        if self.crashes() {
            3.0 + (seconds / 10.0).floor()
        } else if self.restarted(container) && seconds >= RESTARTED_AT {
            1.0
        } else {
            0.0
        }
    }

    /// Seconds that a container has run, as its counters see it.
    pub(super) fn runs(&self, container: &str, seconds: f64) -> f64 {
        if self.restarted(container) && seconds >= RESTARTED_AT {
            return seconds - RESTARTED_AT;
        }
        seconds - self.began
    }

    fn restarted(&self, container: &str) -> bool {
        self.of.name == "checkout" && self.name.ends_with("8jq2m") && container == "app"
    }

    /// Who made it: kind and name.
    pub(super) fn owner(&self) -> (&'static str, String) {
        match self.of.kind {
            Kind::Deployment => ("ReplicaSet", replica_set(self.of)),
            Kind::StatefulSet => ("StatefulSet", self.of.name.to_owned()),
            Kind::DaemonSet => ("DaemonSet", self.of.name.to_owned()),
        }
    }
}
