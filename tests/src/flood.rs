//! Many connections that send prepared requests as fast as they are taken,
//! and keep at those that are refused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::client::{Client, V1};
use crate::http::Response;
use crate::remote_write;
use varve_wire::prompb::v1::TimeSeries;

/// What became of a flood.
#[derive(Debug, Default)]
pub struct Flood {
    /// Requests, by number, that were acknowledged.
    pub taken: BTreeSet<usize>,
    /// Answers that told to try again.
    pub refused: usize,
    /// The first of them.
    pub first: Option<Response>,
    /// Sends in all.
    pub sends: usize,
}

/// Sends the requests of one tenant over `connections` connections until all
/// are acknowledged or the time (from the first one) is over. A request is
/// made when its turn comes. Panics when an answer is neither success nor 503 with `Retry-After`.
pub fn flood(
    (url, tenant): (&str, &str),
    connections: usize,
    limit: Duration,
    requests: usize,
    make: &(impl Fn(usize) -> Vec<u8> + Sync),
) -> Flood {
    let begun: OnceLock<Instant> = OnceLock::new();
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Flood::default());
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let client = Client::new(tenant, Duration::from_secs(30));
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= requests {
                        return;
                    }
                    let body = bytes::Bytes::from(make(n));
                    loop {
                        if begun.get_or_init(Instant::now).elapsed() > limit {
                            return;
                        }
                        let answer = client.write(url, V1, body.clone());
                        let mut outcome = outcome.lock().expect("no panic while it is held");
                        outcome.sends += 1;
                        if answer.status == 204 {
                            outcome.taken.insert(n);
                            break;
                        }
                        assert_eq!(answer.status, 503, "request {n}: {}", answer.body);
                        let after = answer.headers.get("retry-after");
                        assert!(after.is_some(), "no Retry-After: {}", answer.body);
                        outcome.refused += 1;
                        outcome.first.get_or_insert(answer);
                        drop(outcome);
                        // Far sooner than told to.
                        thread::sleep(Duration::from_millis(200));
                    }
                }
            });
        }
    });
    outcome.into_inner().expect("no panic while it was held")
}

/// Label values that do not compress: `series` of about `bytes` bytes each.
pub fn noise(series: usize, bytes: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(bytes as u64);
    let mut one = || -> String {
        (0..bytes.div_ceil(16)).map(|_| format!("{:016x}", random.next_u64())).collect()
    };
    (0..series).map(|_| one()).collect()
}

/// A request of one series of a metric for each label value, with one sample
/// each.
pub fn wide(metric: &str, values: &[String], sample: (i64, f64)) -> Vec<u8> {
    let one = |(n, value): (usize, &String)| {
        let (a, b) = value.split_at(value.len() / 2);
        let labels = [("__name__", metric), ("a", a), ("b", b), ("id", &n.to_string())];
        remote_write::series(&labels, &[sample])
    };
    remote_write::body(values.iter().enumerate().map(one).collect())
}

/// Seconds between the samples of [`long`].
pub const LONG_STEP_MS: i64 = 1000;

/// A request of `series` series of a metric with `samples` samples each, from
/// `first` on, whose values do not compress.
pub fn long(metric: &str, (series, samples): (usize, usize), first: i64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(first as u64);
    let mut one = |n: usize| {
        let samples: Vec<(i64, f64)> = (0..samples as i64)
            .map(|i| (first + i * LONG_STEP_MS, random.random_range(0.0..1.0)))
            .collect();
        remote_write::series(&[("__name__", metric), ("id", &n.to_string())], &samples)
    };
    remote_write::body((0..series).map(&mut one).collect())
}

/// A request of `pods` pods' series with the labels of a Kubernetes scrape, 11
/// each, 20 series a pod, one sample each; pods are numbered from `first`.
pub fn pods(metric: &str, first: usize, pods: usize, sample: (i64, f64)) -> Vec<u8> {
    let one = |pod: usize, container: usize| -> TimeSeries {
        let hash = (pod as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let shard = (pod / 1000).to_string();
        let names = [
            format!("app-{}-{:x}-{:05x}", pod % 50, hash >> 40, hash & 0xf_ffff),
            format!("10.{}.{}.{}:8080", hash >> 16 & 255, hash >> 8 & 255, hash & 255),
            format!("node-{}", pod % 200),
            format!("app-{}", pod % 50),
            format!("namespace-{}", pod % 20),
            format!("/api/v1/endpoint/{container}"),
        ];
        let labels = [
            ("__name__", metric),
            ("cluster", "cluster-1"),
            ("container", "main"),
            ("endpoint", names[5].as_str()),
            ("instance", &names[1]),
            ("job", "kubernetes-pods"),
            ("namespace", &names[4]),
            ("node", &names[2]),
            ("app", &names[3]),
            ("pod", &names[0]),
            ("shard", &shard),
        ];
        remote_write::series(&labels, &[sample])
    };
    let all = (first..first + pods).flat_map(|pod| (0..20).map(move |c| (pod, c)));
    remote_write::body(all.map(|(pod, c)| one(pod, c)).collect())
}
