//! A small Kubernetes cluster that only exists in what it exposes: the pages
//! of kube-state-metrics, of each kubelet (cAdvisor included), of a
//! node_exporter a node, and of the API server and the DNS, in the text format,
//! served over HTTP on loopback.
//!
//! Everything on a page follows from the seconds since the cluster began, so
//! pages of one moment agree. Things happen: a container restarts, a pod is
//! replaced, a rollout gets stuck, a volume fills up, a job fails.

mod cadvisor;
mod cluster;
mod control;
mod kubelet;
mod node;
mod page;
mod serve;
mod state;

pub use cluster::NODES;
pub use serve::Cluster;
