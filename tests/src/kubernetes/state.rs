//! kube-state-metrics' page: what the API server knows of each object.

use super::cluster::{Kind, NAMESPACES, NODES, Pod, WORKLOADS, Workload, pods, replica_set};
use super::page::{Labels, Page};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The page at a moment.
pub(super) fn page(seconds: f64) -> String {
    let mut page = Page::default();
    let pods = pods(seconds);
    nodes(&mut page);
    of_pods(&mut page, &pods);
    containers(&mut page, &pods, seconds);
    resources(&mut page, &pods);
    deployments(&mut page, seconds);
    stateful_sets(&mut page);
    daemon_sets(&mut page);
    others(&mut page, seconds);
    page.finish()
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn nodes(page: &mut Page) {
    page.family("kube_node_info", "gauge");
    for n in &NODES {
        let info =
            [("kubelet_version", "v1.31.2"), ("os_image", "Debian 12"), ("internal_ip", n.address)];
        page.sample(&[&[("node", n.name)], &info], 1.0);
    }
    page.family("kube_node_status_condition", "gauge");
    for n in &NODES {
        for condition in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
            let truly =
                (condition == "Ready") != (condition == "DiskPressure" && n.name == "node-c");
            for (status, set) in [("true", truly), ("false", !truly), ("unknown", false)] {
                let labels = [("node", n.name), ("condition", condition), ("status", status)];
                page.sample(&[&labels], flag(set));
            }
        }
    }
    page.family("kube_node_spec_unschedulable", "gauge");
    for n in &NODES {
        page.sample(&[&[("node", n.name)]], flag(n.name == "node-c"));
    }
    page.family("kube_node_spec_taint", "gauge");
    let taint = [
        ("node", "node-a"),
        ("key", "node-role.kubernetes.io/control-plane"),
        ("effect", "NoSchedule"),
    ];
    page.sample(&[&taint], 1.0);
    page.family("kube_node_role", "gauge")
        .sample(&[&[("node", "node-a"), ("role", "control-plane")]], 1.0);
    let amounts =
        [("cpu", "core", 8.0), ("memory", "byte", 32.0 * GIB), ("pods", "integer", 110.0)];
    for (family, spared) in
        [("kube_node_status_capacity", 0.0), ("kube_node_status_allocatable", 0.05)]
    {
        page.family(family, "gauge");
        for n in &NODES {
            for (resource, unit, amount) in amounts {
                let amount = if resource == "pods" { amount } else { amount * (1.0 - spared) };
                let labels = [("node", n.name), ("resource", resource), ("unit", unit)];
                page.sample(&[&labels], amount);
            }
        }
    }
}

/// The labels that every family of a pod has.
fn of(pod: &Pod) -> [(&str, &str); 3] {
    [("namespace", pod.of.namespace), ("pod", &pod.name), ("uid", &pod.uid)]
}

fn of_pods(page: &mut Page, pods: &[Pod]) {
    page.family("kube_pod_info", "gauge");
    for pod in pods {
        let (kind, name) = pod.owner();
        let info = [
            ("node", pod.node.name),
            ("host_ip", pod.node.address),
            ("created_by_kind", kind),
            ("created_by_name", &name),
            (
                "priority_class",
                if pod.of.namespace == "kube-system" { "system-critical" } else { "" },
            ),
        ];
        page.sample(&[&of(pod), &info], 1.0);
    }
    page.family("kube_pod_owner", "gauge");
    for pod in pods {
        let (kind, name) = pod.owner();
        let owner = [("owner_kind", kind), ("owner_name", &name), ("owner_is_controller", "true")];
        page.sample(&[&of(pod), &owner], 1.0);
    }
    page.family("kube_replicaset_owner", "gauge");
    for w in WORKLOADS.iter().filter(|w| w.kind == Kind::Deployment) {
        let set = replica_set(w);
        let labels = [("namespace", w.namespace), ("replicaset", &*set)];
        page.sample(&[&labels, &[("owner_kind", "Deployment"), ("owner_name", w.name)]], 1.0);
    }
    page.family("kube_pod_status_phase", "gauge");
    for pod in pods {
        for phase in ["Pending", "Running", "Succeeded", "Failed", "Unknown"] {
            page.sample(&[&of(pod), &[("phase", phase)]], flag(phase == "Running"));
        }
    }
    page.family("kube_pod_status_ready", "gauge");
    for pod in pods {
        for (condition, set) in [("true", !pod.crashes()), ("false", pod.crashes())] {
            page.sample(&[&of(pod), &[("condition", condition)]], flag(set));
        }
    }
    page.family("kube_pod_labels", "gauge");
    for pod in pods {
        let labels =
            [("label_app_kubernetes_io_name", pod.of.name), ("label_team", pod.of.namespace)];
        page.sample(&[&of(pod), &labels], 1.0);
    }
}

fn containers(page: &mut Page, pods: &[Pod], seconds: f64) {
    let each = |page: &mut Page, value: &dyn Fn(&Pod, &str) -> Option<f64>, more: Labels<'_>| {
        for pod in pods {
            for container in pod.of.containers {
                if let Some(v) = value(pod, container) {
                    page.sample(&[&of(pod), &[("container", container)], more], v);
                }
            }
        }
    };
    page.family("kube_pod_container_info", "gauge");
    each(page, &|_, _| Some(1.0), &[("image", "registry.example/app:1.4")]);
    page.family("kube_pod_container_status_restarts_total", "counter");
    each(page, &|pod, c| Some(pod.restarts(c, seconds)), &[]);
    page.family("kube_pod_container_status_ready", "gauge");
    each(page, &|pod, _| Some(flag(!pod.crashes())), &[]);
    page.family("kube_pod_container_status_running", "gauge");
    each(page, &|pod, _| Some(flag(!pod.crashes())), &[]);
    page.family("kube_pod_container_status_waiting_reason", "gauge");
    each(page, &|pod, _| pod.crashes().then_some(1.0), &[("reason", "CrashLoopBackOff")]);
    page.family("kube_pod_container_status_last_terminated_reason", "gauge");
    each(page, &|pod, _| pod.crashes().then_some(1.0), &[("reason", "OOMKilled")]);
}

fn resources(page: &mut Page, pods: &[Pod]) {
    let families = [
        ("kube_pod_container_resource_requests", 1.0),
        ("kube_pod_container_resource_limits", 2.0),
    ];
    for (family, times) in families {
        page.family(family, "gauge");
        for pod in pods {
            for container in pod.of.containers {
                // DaemonSets here have requests but no limits.
                if times > 1.0 && pod.of.kind == Kind::DaemonSet {
                    continue;
                }
                for (resource, unit, amount) in
                    [("cpu", "core", pod.of.cores), ("memory", "byte", pod.of.bytes)]
                {
                    let more = [
                        ("container", *container),
                        ("node", pod.node.name),
                        ("resource", resource),
                        ("unit", unit),
                    ];
                    page.sample(&[&of(pod), &more], amount * times);
                }
            }
        }
    }
}

/// A family with one value for each workload of a kind.
fn each(
    page: &mut Page,
    family: &'static str,
    (kind, label): (Kind, &str),
    value: impl Fn(&Workload) -> f64,
) {
    page.family(family, "gauge");
    for w in WORKLOADS.iter().filter(|w| w.kind == kind) {
        page.sample(&[&[("namespace", w.namespace), (label, w.name)]], value(w));
    }
}

fn deployments(page: &mut Page, seconds: f64) {
    let of = (Kind::Deployment, "deployment");
    let stuck = |w: &Workload| w.name == "ledger";
    let replicas = |w: &Workload| w.replicas as f64;
    each(page, "kube_deployment_spec_replicas", of, replicas);
    each(page, "kube_deployment_status_replicas", of, replicas);
    each(page, "kube_deployment_status_replicas_available", of, |w| replicas(w) - flag(stuck(w)));
    each(page, "kube_deployment_status_replicas_updated", of, |w| replicas(w) - flag(stuck(w)));
    each(page, "kube_deployment_metadata_generation", of, |w| 2.0 + flag(w.name == "gateway"));
    each(page, "kube_deployment_status_observed_generation", of, |_| 2.0);
    page.family("kube_deployment_status_condition", "gauge");
    for w in WORKLOADS.iter().filter(|w| w.kind == Kind::Deployment) {
        let labels = [("namespace", w.namespace), ("deployment", w.name)];
        for (status, set) in [("true", !stuck(w)), ("false", stuck(w))] {
            page.sample(&[&labels, &[("condition", "Progressing"), ("status", status)]], flag(set));
        }
    }
    let scaled = |now: f64| now + flag(seconds > 20.0);
    for (family, value) in [
        ("kube_horizontalpodautoscaler_spec_max_replicas", 3.0),
        ("kube_horizontalpodautoscaler_spec_min_replicas", 1.0),
        ("kube_horizontalpodautoscaler_status_desired_replicas", scaled(2.0)),
        ("kube_horizontalpodautoscaler_status_current_replicas", 3.0),
    ] {
        let labels = [("namespace", "shop"), ("horizontalpodautoscaler", "checkout")];
        page.family(family, "gauge").sample(&[&labels], value);
    }
}

fn stateful_sets(page: &mut Page) {
    let of = (Kind::StatefulSet, "statefulset");
    let replicas = |w: &Workload| w.replicas as f64;
    each(page, "kube_statefulset_replicas", of, replicas);
    each(page, "kube_statefulset_status_replicas", of, replicas);
    each(page, "kube_statefulset_status_replicas_ready", of, |w| {
        replicas(w) - flag(w.name == "database")
    });
    each(page, "kube_statefulset_status_replicas_current", of, replicas);
    each(page, "kube_statefulset_status_replicas_updated", of, replicas);
    for (family, label) in [
        ("kube_statefulset_status_current_revision", "6d7f"),
        ("kube_statefulset_status_update_revision", "9c4b"),
    ] {
        page.family(family, "gauge");
        for w in WORKLOADS.iter().filter(|w| w.kind == Kind::StatefulSet) {
            let revision = if w.name == "database" { label } else { "6d7f" };
            let labels =
                [("namespace", w.namespace), ("statefulset", w.name), ("revision", revision)];
            page.sample(&[&labels], 1.0);
        }
    }
}

fn daemon_sets(page: &mut Page) {
    let of = (Kind::DaemonSet, "daemonset");
    let replicas = |w: &Workload| w.replicas as f64;
    each(page, "kube_daemonset_status_desired_number_scheduled", of, replicas);
    each(page, "kube_daemonset_status_current_number_scheduled", of, replicas);
    each(page, "kube_daemonset_status_number_ready", of, |w| {
        replicas(w) - flag(w.name == "kube-proxy")
    });
    each(page, "kube_daemonset_status_number_available", of, replicas);
    each(page, "kube_daemonset_status_updated_number_scheduled", of, replicas);
    each(page, "kube_daemonset_status_number_misscheduled", of, |w| flag(w.name == "kube-proxy"));
}

fn others(page: &mut Page, seconds: f64) {
    page.family("kube_namespace_status_phase", "gauge");
    for namespace in NAMESPACES {
        for phase in ["Active", "Terminating"] {
            let labels = [("namespace", namespace), ("phase", phase)];
            page.sample(&[&labels], flag(phase == "Active"));
        }
    }
    page.family("kube_resourcequota", "gauge");
    for (namespace, resource, hard, used) in [
        ("shop", "requests.cpu", 6.0, 5.6),
        ("shop", "requests.memory", 8.0 * GIB, 4.1 * GIB),
        ("payments", "requests.cpu", 2.0, 2.0),
        ("payments", "requests.memory", 2.0 * GIB, 1.9 * GIB),
    ] {
        let labels = [("namespace", namespace), ("resourcequota", "team"), ("resource", resource)];
        page.sample(&[&labels, &[("type", "hard")]], hard);
        page.sample(&[&labels, &[("type", "used")]], used);
    }
    let job = [
        ("namespace", "payments"),
        ("job_name", "report-28891"),
        ("reason", "BackoffLimitExceeded"),
    ];
    page.family("kube_job_failed", "gauge").sample(&[&job[..2], &[("condition", "true")]], 1.0);
    page.family("kube_job_status_failed", "gauge").sample(&[&job], 1.0);
    page.family("kube_job_status_active", "gauge").sample(&[&job[..2]], 0.0);
    page.family("kube_job_status_start_time", "gauge").sample(&[&job[..2]], 1_764_000_000.0);
    page.family("kube_persistentvolume_status_phase", "gauge");
    for (volume, failed) in [("pv-database-0", false), ("pv-database-1", false), ("pv-old", true)] {
        for (phase, set) in [("Bound", !failed), ("Failed", failed), ("Pending", false)] {
            page.sample(&[&[("persistentvolume", volume), ("phase", phase)]], flag(set));
        }
    }
    page.family("kube_persistentvolumeclaim_info", "gauge");
    for claim in ["data-database-0", "data-database-1"] {
        let labels =
            [("namespace", "shop"), ("persistentvolumeclaim", claim), ("storageclass", "fast")];
        page.sample(&[&labels], 1.0);
    }
    for (family, rate) in
        [("kube_state_metrics_list_total", 0.2), ("kube_state_metrics_watch_total", 3.0)]
    {
        page.family(family, "counter");
        for (result, share) in [("success", 0.95), ("error", 0.05)] {
            let labels = [("resource", "*v1.Pod"), ("result", result)];
            page.sample(&[&labels], (seconds * rate * share).floor());
        }
    }
}
