//! Requests against partitions in memory: what is answered, what is durable,
//! and what travels.

mod answers;
mod fake;
mod grpc;
mod references;
mod validation;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::watch;
use varve_api::{Protocol, WriteReply, WriteRequest, Writer};
use varve_model::{Exemplar, FloatSamples, Histogram, Labels, Metadata, Series, TenantId};
use varve_runtime::ManualClock;
use varve_runtime::config::HumanDuration;
use varve_wire::prompb;

use crate::{Config, Deps, Distributor, LimitsPatch, Overrides, OverridesConfig, start};
use fake::Fake;

/// The time at which tests begin.
const NOW: i64 = 1_790_000_000_000;

/// A distributor with everything around it.
struct Bench {
    distributor: Arc<Distributor>,
    fake: Arc<Fake>,
    clock: Arc<ManualClock>,
    limits: watch::Sender<Arc<Overrides>>,
    registry: Registry,
}

fn overrides(defaults: LimitsPatch) -> Arc<Overrides> {
    let config = OverridesConfig { defaults, ..OverridesConfig::default() };
    Arc::new(Overrides::new(&config).unwrap())
}

fn bench(limits: LimitsPatch) -> Bench {
    bench_of(1, limits)
}

fn bench_of(partitions: u32, limits: LimitsPatch) -> Bench {
    bench_with(partitions, limits, config())
}

/// Settings with which nothing waits for long between attempts.
fn config() -> Config {
    Config { retry_backoff: HumanDuration(Duration::from_millis(1)), ..Config::default() }
}

/// Settings with which a request that gets no answer ends soon.
fn impatient() -> Config {
    Config { request_timeout: HumanDuration(Duration::from_millis(50)), ..config() }
}

fn bench_with(partitions: u32, limits: LimitsPatch, config: Config) -> Bench {
    let fake = Arc::new(Fake::new(partitions));
    let clock = Arc::new(ManualClock::new(NOW));
    let (limits, receiver) = watch::channel(overrides(limits));
    let registry = Registry::new();
    let deps = Deps {
        partitions: fake.clone(),
        limits: receiver,
        clock: clock.clone(),
        fingerprint_key: [3; 16],
        registry: registry.clone(),
    };
    Bench { distributor: start(config, deps).unwrap(), fake, clock, limits, registry }
}

impl Bench {
    async fn send(&self, protocol: Protocol, request: &Request) -> WriteReply {
        self.send_as("team-1", protocol, request).await
    }

    async fn send_as(&self, tenant: &str, protocol: Protocol, request: &Request) -> WriteReply {
        self.send_body(tenant, protocol, request.body(protocol)).await
    }

    async fn send_body(&self, tenant: &str, protocol: Protocol, body: Vec<u8>) -> WriteReply {
        let tenant = TenantId::new(tenant).unwrap();
        let mut room = self.distributor.room(&tenant);
        let request = WriteRequest { protocol, body: body.into() };
        self.distributor.write(tenant, request, &mut *room).await
    }

    /// The value of a metric, summed over its labels.
    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let found = families.iter().filter(|f| f.name() == name).flat_map(|f| f.get_metric());
        found.map(|m| m.get_counter().get_value() + m.get_gauge().get_value()).sum()
    }
}

/// What a test sends, in either protocol.
#[derive(Clone, Debug, Default)]
struct Request(Vec<(Series, Vec<Exemplar>, Option<Metadata>)>);

impl Request {
    fn float(mut self, pairs: &[(&str, &str)], t: i64, v: f64) -> Self {
        let mut floats = FloatSamples::default();
        floats.push(t, v, 0);
        self.0.push((Series { labels: labels(pairs), floats, ..Series::default() }, vec![], None));
        self
    }

    fn histogram(mut self, pairs: &[(&str, &str)], t: i64, h: Histogram) -> Self {
        let mut series = Series { labels: labels(pairs), ..Series::default() };
        series.histograms.push(t, h.into(), 0);
        self.0.push((series, vec![], None));
        self
    }

    /// Adds an exemplar to the last series.
    fn exemplar(mut self, pairs: &[(&str, &str)], t: i64) -> Self {
        let exemplar = Exemplar { labels: labels(pairs), value: 1.0, timestamp: t };
        self.0.last_mut().unwrap().1.push(exemplar);
        self
    }

    /// Says something of the last series' family.
    fn metadata(mut self, metadata: Metadata) -> Self {
        self.0.last_mut().unwrap().2 = Some(metadata);
        self
    }

    fn body(&self, protocol: Protocol) -> Vec<u8> {
        match protocol {
            Protocol::V1 => {
                let mut request = prompb::v1::WriteRequest::default();
                for (series, exemplars, metadata) in &self.0 {
                    request.timeseries.push(prompb::series_v1(series, exemplars));
                    let name = series.labels.metric_name();
                    request.metadata.extend(metadata.iter().map(|m| prompb::metadata_v1(name, m)));
                }
                prompb::compress(&request)
            }
            Protocol::V2 => {
                let mut request = prompb::RequestV2::new();
                for (series, exemplars, metadata) in &self.0 {
                    request.push(series, exemplars, metadata.as_ref());
                }
                prompb::compress(&request.finish())
            }
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

const BOTH: [Protocol; 2] = [Protocol::V1, Protocol::V2];
