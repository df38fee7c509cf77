//! A Kubernetes cluster's metrics: pods of services, each a scrape target of
//! a hundred series with eleven labels.
//!
//! Everything follows from the seed, the pod's number and its generation, so
//! it does not depend on how many connections send it. Pods are replaced one
//! by one (churn) or all at once (a rollout); a replaced pod's series get
//! stale markers, and its successor begins at 0 under another name.

use super::families::{self, Exposed};
use super::protobuf;
use super::random::Random;
use super::values::{Observed, Value};

/// Series of one pod.
pub const POD_SERIES: usize = 100;

const SERVICES: [(&str, &str); 30] = [
    ("shop", "checkout"),
    ("shop", "cart-api"),
    ("shop", "catalog"),
    ("shop", "pricing"),
    ("shop", "recommendations"),
    ("shop", "search-frontend"),
    ("payments", "authorizer"),
    ("payments", "ledger"),
    ("payments", "payouts"),
    ("payments", "fraud-scoring"),
    ("identity", "login"),
    ("identity", "sessions"),
    ("identity", "accounts"),
    ("logistics", "shipping"),
    ("logistics", "tracking"),
    ("logistics", "warehouse"),
    ("logistics", "routing"),
    ("messaging", "mailer"),
    ("messaging", "push-gateway"),
    ("messaging", "templates"),
    ("data-platform", "ingest"),
    ("data-platform", "stream-processor"),
    ("data-platform", "feature-store"),
    ("data-platform", "exporter"),
    ("edge", "api-gateway"),
    ("edge", "rate-limiter"),
    ("edge", "image-resizer"),
    ("support", "tickets"),
    ("support", "chat"),
    ("support", "knowledge-base"),
];

/// What the cluster is and does.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Number of pods, each of [`POD_SERIES`] series.
    pub pods: u32,
    /// Where all randomness begins.
    pub seed: u64,
    /// Time of the first scrape, in ms.
    pub start_ms: i64,
    /// Time between scrapes, in ms.
    pub interval_ms: i64,
    /// How far a scrape may be from its time, in ms, either way.
    pub jitter_ms: u32,
    /// Share of the pods that is replaced in an hour.
    pub churn: f64,
    /// The scrape from which on all pods are new.
    pub rollout: Option<u64>,
}

impl Shape {
    /// How often a pod has been replaced at a scrape.
    pub fn generation(&self, pod: u32, scrape: u64) -> u32 {
        let rolled = u32::from(self.rollout.is_some_and(|at| scrape >= at)) << 24;
        let hours = (scrape as i64 * self.interval_ms) as f64 / 3_600_000.0;
        let replaced = (self.churn * hours * f64::from(self.pods)) as u64;
        // Each pod has its turn, in an order that jumps over the services.
        let turn = u64::from(pod) * 7919 % u64::from(self.pods.max(1));
        let due = (replaced + u64::from(self.pods) - 1).saturating_sub(turn);
        rolled + (due / u64::from(self.pods.max(1))) as u32
    }
}

/// One pod as it is now.
#[derive(Debug)]
pub struct Pod {
    number: u32,
    generation: u32,
    random: Random,
    values: Vec<Value>,
}

impl Pod {
    /// A pod that begins; its series' label fields go to `each`, in order.
    pub fn begin(shape: &Shape, number: u32, generation: u32, each: impl FnMut(&[u8])) -> Self {
        let (random, exposed) = exposed(shape, number, generation);
        encode(shape, number, generation, &exposed, each);
        Self { number, generation, random, values: exposed.iter().map(|e| e.value).collect() }
    }

    /// The label fields of its series, made anew.
    pub fn labels(&self, shape: &Shape, each: impl FnMut(&[u8])) {
        let (_, exposed) = exposed(shape, self.number, self.generation);
        encode(shape, self.number, self.generation, &exposed, each);
    }

    /// The label fields of one more series, for a native histogram.
    pub fn extra(&self, shape: &Shape, name: &str) -> Vec<u8> {
        let (_, service) = service(shape, self.number);
        let value = Value::new(super::values::Kind::Constant, 0, 0.0, &mut Random::new(0, 0));
        let name = format!("{}_{name}", service.replace('-', "_"));
        let mut out = Vec::new();
        let exposed = [Exposed { name, own: None, value }];
        encode(shape, self.number, self.generation, &exposed, |l| out.extend_from_slice(l));
        out
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How often it has been replaced.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// When it is scraped: its place in the interval, and some jitter.
    pub fn time(&mut self, shape: &Shape, scrape: u64) -> i64 {
        let place = shape.interval_ms * i64::from(self.number) / i64::from(shape.pods.max(1));
        let jitter = i64::from(self.random.below(2 * shape.jitter_ms + 1));
        let begin = shape.start_ms + scrape as i64 * shape.interval_ms;
        begin + place + jitter - i64::from(shape.jitter_ms)
    }

    /// The values of the next scrape.
    pub fn step(&mut self) -> impl Iterator<Item = f64> + '_ {
        let Self { random, values, .. } = self;
        let mut observed = Observed::default();
        values.iter_mut().map(move |v| v.step(random, &mut observed))
    }

    /// A number of the pod's own stream.
    pub fn draw(&mut self, below: u32) -> u32 {
        self.random.below(below)
    }
}

fn service(shape: &Shape, number: u32) -> (&'static str, &'static str) {
    let at = u64::from(number) * SERVICES.len() as u64 / u64::from(shape.pods.max(1));
    SERVICES[(at as usize).min(SERVICES.len() - 1)]
}

fn exposed(shape: &Shape, number: u32, generation: u32) -> (Random, Vec<Exposed>) {
    let thing = u64::from(number) << 32 | u64::from(generation);
    let mut random = Random::new(shape.seed, thing);
    let (_, service) = service(shape, number);
    let exposed = families::pod(service, &mut random);
    (random, exposed)
}

/// Names as Kubernetes makes them, and the eleven labels of each series.
fn encode(
    shape: &Shape,
    number: u32,
    generation: u32,
    exposed: &[Exposed],
    mut each: impl FnMut(&[u8]),
) {
    let (namespace, service) = service(shape, number);
    let mut random = Random::new(shape.seed ^ 0x5EED, u64::from(number) << 32);
    let rollout = generation >> 24;
    let node = random.below(shape.pods / 30 + 1);
    let (a, b) = (node >> 8 & 0xFF, node & 0xFF);
    let mut newer =
        Random::new(shape.seed ^ 0xF00D, u64::from(number) << 32 | u64::from(generation));
    let letters = |random: &mut Random, n: usize| -> String {
        let set = b"bcdfghjklmnpqrstvwxz2456789";
        (0..n).map(|_| char::from(set[random.below(set.len() as u32) as usize])).collect()
    };
    let mut replica_set = Random::new(shape.seed ^ u64::from(rollout), service.len() as u64 * 31);
    let pod = format!("{service}-{}-{}", letters(&mut replica_set, 10), letters(&mut newer, 5));
    let instance = format!("10.{}.{}.{}:8080", 64 + a, b, 2 + newer.below(250));
    let node = format!("ip-10-64-{a}-{b}.eu-west-1.compute.internal");
    let (job, endpoint) = (format!("{namespace}/{service}"), "http-metrics");
    let version = format!("v1.{}.0", 40 + rollout);
    let mut out = Vec::with_capacity(400);
    for Exposed { name, own, .. } in exposed {
        let own = own.unwrap_or(("version", &version));
        out.clear();
        let pairs = vec![
            ("__name__", name.as_str()),
            ("cluster", "prod-eu-west-1"),
            ("namespace", namespace),
            ("pod", &pod),
            ("container", service),
            ("node", &node),
            ("instance", &instance),
            ("job", &job),
            ("service", service),
            ("endpoint", endpoint),
            own,
        ];
        protobuf::labels(pairs, &mut out);
        each(&out);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shape() -> Shape {
        Shape {
            pods: 50,
            seed: 1,
            start_ms: 1_795_000_000_000,
            interval_ms: 15_000,
            jitter_ms: 5,
            churn: 0.1,
            rollout: Some(10_000),
        }
    }

    #[test]
    fn churn_replaces_the_share_that_was_asked_for() {
        let shape = shape();
        let at = |scrape| (0..50).map(|pod| shape.generation(pod, scrape)).sum::<u32>();
        assert_eq!((at(0), at(240), at(480), at(2400)), (0, 5, 10, 50));
        assert!((0..50).all(|pod| shape.generation(pod, 10_000) >> 24 == 1));
    }

    #[test]
    fn series_differ_between_pods_and_generations_and_repeat_by_seed() {
        let shape = shape();
        let mut all = BTreeSet::new();
        for (pod, generation) in [(0, 0), (1, 0), (49, 0), (0, 1), (0, 1 << 24)] {
            let mut begun = Vec::new();
            let mut one = Pod::begin(&shape, pod, generation, |l| begun.push(l.to_vec()));
            let mut again = Vec::new();
            one.labels(&shape, |l| again.push(l.to_vec()));
            assert_eq!(begun, again);
            let mut twin = Pod::begin(&shape, pod, generation, |_| {});
            for scrape in 0..20 {
                assert_eq!(one.time(&shape, scrape), twin.time(&shape, scrape));
                assert!(one.step().eq(twin.step()));
            }
            all.extend(begun);
        }
        assert_eq!(all.len(), 5 * POD_SERIES);
    }
}
