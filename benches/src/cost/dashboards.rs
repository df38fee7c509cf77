//! Forty queries as dashboards over a Kubernetes cluster ask them.
//!
//! They were fixed before anything was measured with them, and stay: a
//! comparison whose questions follow its answers says nothing. All have data
//! over what `varve-load` makes up.

/// One panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The expression.
    pub expr: &'static str,
    /// How many hours it shows, up to the end of the data; 0 = the end alone.
    pub hours: u32,
    /// Seconds between two points.
    pub step: u32,
}

const fn range(hours: u32, step: u32, expr: &'static str) -> Panel {
    Panel { expr, hours, step }
}

const fn instant(expr: &'static str) -> Panel {
    Panel { expr, hours: 0, step: 0 }
}

/// All panels, in the order of their numbers.
pub const PANELS: [Panel; 40] = [
    // The cluster at a glance: a thousand series each, a whole day.
    range(24, 300, "sum(rate(container_cpu_usage_seconds_total[5m]))"),
    range(24, 300, "sum by (namespace) (rate(container_cpu_usage_seconds_total[5m]))"),
    range(24, 300, "sum by (namespace) (container_memory_working_set_bytes)"),
    range(24, 300, "sum by (node) (rate(container_network_transmit_bytes_total[5m]))"),
    range(24, 60, "avg by (job) (up)"),
    range(24, 300, "count by (version) (go_info)"),
    range(24, 300, "max by (namespace) (go_goroutines)"),
    range(24, 600, "topk(10, sum by (pod) (rate(container_cpu_usage_seconds_total[5m])))"),
    range(24, 3600, "max by (namespace) (max_over_time(process_resident_memory_bytes[1h]))"),
    range(24, 600, "avg by (service) (avg_over_time(go_goroutines[10m]))"),
    range(24, 300, "sum by (namespace) (increase(go_memstats_alloc_bytes_total[1h]))"),
    range(24, 300, "stddev by (service) (go_memstats_heap_objects)"),
    // A namespace, pod by pod, six hours to the minute.
    range(6, 60, "sum by (pod) (rate(container_cpu_usage_seconds_total{namespace=\"shop\"}[5m]))"),
    range(6, 60, "sum by (pod) (container_memory_working_set_bytes{namespace=\"payments\"})"),
    range(
        6,
        60,
        "sum by (pod) (irate(container_network_receive_bytes_total{namespace=\"data-platform\"}[5m]))",
    ),
    range(24, 60, "container_memory_working_set_bytes{namespace=\"edge\"}"),
    range(
        6,
        60,
        "go_memstats_heap_inuse_bytes{namespace=\"logistics\"} \
         / go_memstats_heap_sys_bytes{namespace=\"logistics\"}",
    ),
    range(
        6,
        60,
        "container_memory_working_set_bytes * on (pod) group_left (node) go_info{namespace=\"shop\"}",
    ),
    range(6, 300, "topk(5, process_open_fds / process_max_fds)"),
    range(6, 60, "deriv(process_resident_memory_bytes{namespace=\"identity\"}[15m])"),
    range(6, 300, "predict_linear(go_memstats_heap_sys_bytes{namespace=\"edge\"}[1h], 4 * 3600)"),
    range(6, 60, "delta(go_goroutines{service=\"checkout\"}[10m])"),
    range(24, 600, "quantile_over_time(0.95, checkout_queue_depth[30m])"),
    range(24, 300, "min_over_time(cart_api_cache_hit_ratio[15m])"),
    // A service: requests, errors, durations.
    range(24, 120, "sum by (code) (rate(checkout_http_requests_total[5m]))"),
    range(
        24,
        300,
        "sum(rate(checkout_http_requests_total{code=~\"5..\"}[5m])) \
         / sum(rate(checkout_http_requests_total[5m]))",
    ),
    range(
        24,
        300,
        "histogram_quantile(0.99, sum by (le) (rate(checkout_http_request_duration_seconds_bucket[5m])))",
    ),
    range(
        6,
        60,
        "histogram_quantile(0.9, sum by (le, pod) (rate(ledger_http_request_duration_seconds_bucket[5m])))",
    ),
    range(
        24,
        300,
        "sum(rate(login_database_query_duration_seconds_sum[5m])) \
         / sum(rate(login_database_query_duration_seconds_count[5m]))",
    ),
    range(
        6,
        120,
        "sum(rate(checkout_http_requests_total[5m])) \
         / sum(rate(checkout_http_requests_total[5m] offset 12h))",
    ),
    range(6, 300, "max_over_time(sum(rate(checkout_http_requests_total[5m]))[1h:5m])"),
    // All services at once: twelve thousand series.
    range(6, 120, "sum by (service) (rate({__name__=~\".+_http_requests_total\"}[5m]))"),
    range(
        6,
        120,
        "sum by (service) (rate({__name__=~\".+_http_requests_total\",code=~\"5..\"}[5m])) \
         / sum by (service) (rate({__name__=~\".+_http_requests_total\"}[5m]))",
    ),
    range(
        6,
        300,
        "histogram_quantile(0.95, sum by (le, service) \
         (rate({__name__=~\".+_http_request_duration_seconds_bucket\"}[5m])))",
    ),
    range(
        24,
        1200,
        "sum by (namespace, code) (increase({__name__=~\".+_http_requests_total\",code!~\"2..\"}[20m]))",
    ),
    // Single numbers and tables: one time.
    instant("sum(increase(checkout_http_requests_total[24h]))"),
    instant("sum by (namespace) (rate(container_cpu_usage_seconds_total[5m]))"),
    instant("topk(20, process_resident_memory_bytes)"),
    instant(
        "histogram_quantile(0.99, sum by (le, service) \
         (rate({__name__=~\".+_http_request_duration_seconds_bucket\"}[1h])))",
    ),
    instant("count by (namespace, job) ({cluster=\"prod-eu-west-1\"})"),
];

impl Panel {
    /// Path and query of the request, for data that ends at `end_ms` and is
    /// `hours` long.
    pub fn path(&self, end_ms: i64, hours: u32) -> String {
        let (end, query) = (end_ms / 1000, escape(self.expr));
        match self.hours {
            0 => format!("/api/v1/query?query={query}&time={end}"),
            asked => {
                // The first windows are not full of data; whole steps.
                let shown = i64::from(asked.min(hours)) * 3600;
                let step = i64::from(self.step);
                let start = end - (shown / step - 1).max(1) * step;
                format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}")
            }
        }
    }

    /// What it shows, for people.
    pub fn window(&self) -> String {
        match (self.hours, self.step) {
            (0, _) => "instant".to_owned(),
            (hours, step) if step % 60 == 0 => format!("{hours} h / {} min", step / 60),
            (hours, step) => format!("{hours} h / {step} s"),
        }
    }
}

fn escape(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn forty_different_panels() {
        let all: BTreeSet<_> = PANELS.iter().map(|p| (p.expr, p.hours, p.step)).collect();
        assert_eq!(all.len(), 40);
    }

    #[test]
    fn a_panel_shows_no_more_than_there_is() {
        let panel = range(24, 300, "up{a=\"b\"}");
        let path = panel.path(1_800_000_000_000, 6);
        let start = 1_800_000_000 - 6 * 3600 + 300;
        let query = "up%7Ba%3D%22b%22%7D";
        let expected =
            format!("/api/v1/query_range?query={query}&start={start}&end=1800000000&step=300");
        assert_eq!(path, expected);
    }
}
