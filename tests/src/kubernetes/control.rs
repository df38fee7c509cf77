//! Pages of the control plane: the API server and the cluster's DNS.

use super::page::{Page, count, share, wave};

const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.4, 1.0, 5.0, 15.0, 30.0];
const VERBS: [(&str, &str, &str, f64); 7] = [
    ("GET", "pods", "resource", 12.0),
    ("LIST", "pods", "cluster", 2.0),
    ("LIST", "nodes", "cluster", 1.0),
    ("WATCH", "pods", "cluster", 0.5),
    ("POST", "events", "resource", 3.0),
    ("PATCH", "nodes", "resource", 1.5),
    ("PUT", "leases", "resource", 6.0),
];

/// The API server's page at a moment.
pub(super) fn api_server(seconds: f64) -> String {
    let mut page = Page::default();
    page.family("apiserver_request_total", "counter");
    for (verb, resource, scope, rate) in VERBS {
        for (code, part) in [("200", 0.96), ("404", 0.025), ("429", 0.005), ("500", 0.01)] {
            let name = format!("{verb}{resource}{code}");
            let labels = [("verb", verb), ("resource", resource), ("scope", scope), ("code", code)];
            page.sample(&[&labels], count(&name, rate * part, seconds).floor());
        }
    }
    for (family, slower) in [
        ("apiserver_request_duration_seconds", 1.0),
        ("apiserver_request_sli_duration_seconds", 0.9),
    ] {
        page.family(family, "histogram");
        for (verb, resource, scope, rate) in VERBS {
            let labels = [("verb", verb), ("resource", resource), ("scope", scope)];
            let mean = slower * if verb == "LIST" { 0.6 } else { 0.02 + 0.05 * share(resource) };
            page.histogram(
                &[&labels],
                &SECONDS,
                count(&format!("{verb}{resource}"), rate, seconds),
                mean,
            );
        }
    }
    page.family("apiserver_current_inflight_requests", "gauge");
    for (kind, middle) in [("readOnly", 14.0), ("mutating", 5.0)] {
        page.sample(&[&[("request_kind", kind)]], wave(kind, middle, seconds).floor());
    }
    page.family("apiserver_client_certificate_expiration_seconds", "histogram");
    page.histogram(&[], &[0.0, 604_800.0, 2_592_000.0], seconds.floor() * 0.1, 2_000_000.0);
    page.family("workqueue_adds_total", "counter");
    for name in ["crd_openapi", "apiservice"] {
        page.sample(&[&[("name", name)]], count(name, 2.0, seconds).floor());
    }
    page.family("workqueue_depth", "gauge");
    for name in ["crd_openapi", "apiservice"] {
        page.sample(&[&[("name", name)]], wave(name, 3.0, seconds).floor());
    }
    page.family("workqueue_queue_duration_seconds", "histogram");
    for name in ["crd_openapi", "apiservice"] {
        page.histogram(&[&[("name", name)]], &SECONDS, count(name, 2.0, seconds), 0.01);
    }
    page.family("process_resident_memory_bytes", "gauge")
        .sample(&[], wave("api", 4.0e8, seconds).floor());
    page.family("process_cpu_seconds_total", "counter").sample(&[], count("api", 0.3, seconds));
    page.family("process_start_time_seconds", "gauge").sample(&[], 1_763_000_500.0);
    page.family("go_goroutines", "gauge").sample(&[], wave("api", 1_400.0, seconds).floor());
    page.finish()
}

/// The DNS' page at a moment.
pub(super) fn dns(seconds: f64) -> String {
    let mut page = Page::default();
    let server = [("server", "dns://:53"), ("zone", "."), ("view", "")];
    page.family("coredns_dns_requests_total", "counter");
    for (kind, rate) in [("A", 20.0), ("AAAA", 18.0), ("SRV", 1.0)] {
        for proto in ["udp", "tcp"] {
            let rate = if proto == "tcp" { rate / 20.0 } else { rate };
            let labels = [("type", kind), ("proto", proto)];
            page.sample(
                &[&server, &labels],
                count(&format!("{kind}{proto}"), rate, seconds).floor(),
            );
        }
    }
    page.family("coredns_dns_responses_total", "counter");
    for (code, rate) in [("NOERROR", 24.0), ("NXDOMAIN", 14.0), ("SERVFAIL", 1.0)] {
        page.sample(&[&server, &[("rcode", code)]], count(code, rate, seconds).floor());
    }
    page.family("coredns_dns_request_duration_seconds", "histogram");
    page.histogram(&[&server], &SECONDS, count("dns", 39.0, seconds), 0.004);
    for (family, rate) in [("coredns_cache_hits_total", 25.0), ("coredns_cache_misses_total", 12.0)]
    {
        page.family(family, "counter");
        let labels: &[(&str, &str)] = match family {
            "coredns_cache_hits_total" => &[("type", "success")],
            _ => &[],
        };
        page.sample(&[&server, labels], count(family, rate, seconds).floor());
    }
    page.family("coredns_cache_entries", "gauge");
    for kind in ["success", "denial"] {
        page.sample(&[&server, &[("type", kind)]], wave(kind, 120.0, seconds).floor());
    }
    page.family("coredns_panics_total", "counter").sample(&[], 0.0);
    page.finish()
}
