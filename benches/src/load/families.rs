//! What one pod exposes: about a hundred series like those of a Go service
//! under the Prometheus operator.
//!
//! Of 100 series 28 belong to classic histograms, 37 are counters (a third of
//! them idle or nearly so), 35 are gauges (13 of them constant).

use super::random::Random;
use super::values::{Kind, Value};

/// Bounds of the classic histograms and the share of observations below them.
const BUCKETS: [(&str, f32); 12] = [
    ("0.005", 0.02),
    ("0.01", 0.09),
    ("0.025", 0.3),
    ("0.05", 0.52),
    ("0.1", 0.73),
    ("0.25", 0.88),
    ("0.5", 0.95),
    ("1", 0.98),
    ("2.5", 0.995),
    ("5", 0.999),
    ("10", 1.0),
    ("+Inf", 1.0),
];

/// Name and kind of what every Go process exposes.
const PROCESS: [(&str, Kind); 34] = [
    ("up", Kind::Constant),
    ("scrape_duration_seconds", Kind::Nanoseconds),
    ("scrape_samples_scraped", Kind::Constant),
    ("go_info", Kind::Constant),
    ("go_goroutines", Kind::Whole),
    ("go_threads", Kind::Constant),
    ("go_gc_duration_seconds_count", Kind::RareCounter),
    ("go_gc_cycles_total", Kind::RareCounter),
    ("go_memstats_alloc_bytes", Kind::Pages),
    ("go_memstats_alloc_bytes_total", Kind::Counter),
    ("go_memstats_frees_total", Kind::Counter),
    ("go_memstats_mallocs_total", Kind::Counter),
    ("go_memstats_heap_idle_bytes", Kind::RarePages),
    ("go_memstats_heap_inuse_bytes", Kind::Pages),
    ("go_memstats_heap_objects", Kind::Whole),
    ("go_memstats_heap_released_bytes", Kind::RarePages),
    ("go_memstats_heap_sys_bytes", Kind::RarePages),
    ("go_memstats_stack_inuse_bytes", Kind::RarePages),
    ("go_memstats_next_gc_bytes", Kind::RarePages),
    ("go_memstats_other_sys_bytes", Kind::Constant),
    ("process_cpu_seconds_total", Kind::Hundredths),
    ("process_max_fds", Kind::Constant),
    ("process_open_fds", Kind::Whole),
    ("process_resident_memory_bytes", Kind::RarePages),
    ("process_start_time_seconds", Kind::Constant),
    ("process_virtual_memory_bytes", Kind::Constant),
    ("container_cpu_usage_seconds_total", Kind::Hundredths),
    ("container_cpu_cfs_throttled_periods_total", Kind::RareCounter),
    ("container_memory_working_set_bytes", Kind::Pages),
    ("container_memory_cache", Kind::RarePages),
    ("container_network_receive_bytes_total", Kind::Counter),
    ("container_network_transmit_bytes_total", Kind::Counter),
    ("container_fs_reads_bytes_total", Kind::RareCounter),
    ("kube_pod_container_status_restarts_total", Kind::Constant),
];

const COUNTERS: [&str; 14] = [
    "cache_hits_total",
    "cache_misses_total",
    "queue_messages_published_total",
    "queue_messages_consumed_total",
    "database_queries_total",
    "database_rows_read_total",
    "database_errors_total",
    "retries_total",
    "grpc_client_handled_total",
    "grpc_client_started_total",
    "auth_attempts_total",
    "auth_failures_total",
    "events_processed_total",
    "bytes_written_total",
];

const GAUGES: [(&str, Kind); 12] = [
    ("queue_depth", Kind::Whole),
    ("queue_oldest_message_age_seconds", Kind::Thousandths),
    ("database_connections_open", Kind::Whole),
    ("database_connections_max", Kind::Constant),
    ("cache_entries", Kind::Whole),
    ("cache_bytes", Kind::RarePages),
    ("cache_hit_ratio", Kind::Thousandths),
    ("workers_busy", Kind::Whole),
    ("workers_configured", Kind::Constant),
    ("feature_flag_enabled", Kind::Constant),
    ("last_success_timestamp_seconds", Kind::Constant),
    ("load_average", Kind::Thousandths),
];

const CODES: [&str; 12] =
    ["200", "201", "204", "301", "304", "400", "401", "403", "404", "429", "500", "503"];

/// One series of a pod: its metric's name without the service's prefix, the
/// label that only its family has, and how it moves.
pub struct Exposed {
    /// The metric's name.
    pub name: String,
    /// A label of its own, such as `le` or `code`.
    pub own: Option<(&'static str, &'static str)>,
    /// How it moves.
    pub value: Value,
}

/// What a pod of a service exposes. `random` decides how busy each series is.
pub fn pod(service: &str, random: &mut Random) -> Vec<Exposed> {
    let prefix = service.replace('-', "_");
    let mut all = Vec::with_capacity(100);
    for (name, kind) in PROCESS {
        let value = Value::new(kind, mean(random), 0.0, random);
        all.push(Exposed { name: name.to_owned(), own: None, value });
    }
    for code in CODES {
        let value = counter(random);
        let name = format!("{prefix}_http_requests_total");
        all.push(Exposed { name, own: Some(("code", code)), value });
    }
    for histogram in ["http_request_duration_seconds", "database_query_duration_seconds"] {
        let busy = if random.below(4) == 0 { 0 } else { mean(random) };
        for (i, (le, share)) in BUCKETS.into_iter().enumerate() {
            let kind = if i == 0 { Kind::FirstBucket } else { Kind::Bucket };
            let value = Value::new(kind, busy, share, random);
            let name = format!("{prefix}_{histogram}_bucket");
            all.push(Exposed { name, own: Some(("le", le)), value });
        }
        for (suffix, kind) in [("sum", Kind::Sum), ("count", Kind::Bucket)] {
            let value = Value::new(kind, busy, 1.0, random);
            all.push(Exposed { name: format!("{prefix}_{histogram}_{suffix}"), own: None, value });
        }
    }
    for name in COUNTERS {
        let value = counter(random);
        all.push(Exposed { name: format!("{prefix}_{name}"), own: None, value });
    }
    for (name, kind) in GAUGES {
        let value = Value::new(kind, mean(random), 0.0, random);
        all.push(Exposed { name: format!("{prefix}_{name}"), own: None, value });
    }
    all
}

/// Busy ones over three orders of magnitude, as services differ.
fn mean(random: &mut Random) -> u16 {
    let widest = [4, 40, 400, 4000][random.below(4) as usize];
    1 + random.below(widest) as u16
}

fn counter(random: &mut Random) -> Value {
    let kind = match random.below(6) {
        0 => Kind::Constant,
        1 => Kind::RareCounter,
        _ => Kind::Counter,
    };
    let mean = mean(random);
    Value::new(kind, mean, 0.0, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_exposes_a_hundred_different_series() {
        let all = pod("cart-api", &mut Random::new(1, 1));
        let names: std::collections::BTreeSet<_> = all.iter().map(|e| (&e.name, e.own)).collect();
        assert_eq!((all.len(), names.len()), (super::super::kube::POD_SERIES, 100));
    }
}
