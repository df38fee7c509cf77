//! An ingester on a simulated disk over a bucket with toxics, and what a
//! distributor and a querier do to it.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![allow(missing_docs, unreachable_pub, reason = "this is the tests' own")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use object_store::memory::InMemory;
use prometheus::Registry;
use tonic::{Request, Status};
use varve_block::BlockEntry;
use varve_bucket::{Bucket, BucketConfig, Catalog, CatalogConfig, Metrics};
use varve_ingester::{Config, Deps, Ingester, IngesterError, Running, start};
use varve_log::{Crash, SimDisk};
use varve_model::{FloatSamples, Labels, MatchOp, Matcher, TenantId, TimeRange, WINDOW_MS};
use varve_query::frames::read_frame;
use varve_runtime::config::{ByteSize, HumanDuration};
use varve_runtime::{Clock, ManualClock, Shutdown};
use varve_testkit::FaultyStore;
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};
use varve_wire::v1::ingest_server::Ingest;
use varve_wire::v1::store_server::Store;
use varve_wire::{convert, v1};

/// The end of the window that the tests write into.
pub const WINDOW_END: i64 = 238_889 * WINDOW_MS;
/// A moment in its middle.
pub const NOON: i64 = WINDOW_END - WINDOW_MS / 2;

/// Samples by series name.
pub type Content = BTreeMap<String, Vec<(i64, f64)>>;

pub struct Node {
    pub config: Config,
    pub partitions: Vec<u32>,
    pub disk: SimDisk,
    pub store: FaultyStore,
    pub catalog: Arc<Catalog>,
    pub clock: Arc<ManualClock>,
    pub scratch: tempfile::TempDir,
}

pub struct Live {
    pub ingester: Ingester,
    pub shutdown: Shutdown,
    pub registry: Registry,
    pub task: tokio::task::JoinHandle<Result<(), IngesterError>>,
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

impl Node {
    pub fn new(partitions: &[u32]) -> Self {
        let clock = Arc::new(ManualClock::new(NOON));
        let store = FaultyStore::new(Arc::new(InMemory::new()));
        let bucket = BucketConfig { max_retries: 3, retry_pause_ms: 1, ..BucketConfig::default() };
        let metrics = Metrics::new(&Registry::new());
        let bucket = Bucket::from_store(Arc::new(store.clone()), &bucket, metrics);
        let shared: Arc<dyn Clock> = clock.clone();
        let catalog = Catalog::open(bucket, shared, CatalogConfig::default()).unwrap();
        Self {
            config: Config {
                // Only what a test asks for happens.
                seal_interval: HumanDuration(Duration::from_secs(86_400)),
                ship_check_interval: HumanDuration(Duration::from_secs(86_400)),
                log_segment: ByteSize(256 << 10),
                ..Config::default()
            },
            partitions: partitions.to_vec(),
            disk: SimDisk::new(1),
            store,
            catalog: Arc::new(catalog),
            clock,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub async fn start(&self) -> Live {
        self.try_start().await.unwrap()
    }

    pub async fn try_start(&self) -> Result<Live, IngesterError> {
        let (shutdown, registry) = (Shutdown::new(), Registry::new());
        let deps = Deps {
            data_dir: self.scratch.path().to_owned(),
            partitions: self.partitions.clone(),
            catalog: Arc::clone(&self.catalog),
            clock: self.clock.clone(),
            disk: Arc::new(self.disk.clone()),
            registry: registry.clone(),
            shutdown: shutdown.register(1, "ingester"),
        };
        let Running { ingester, task, .. } = start(self.config.clone(), deps).await?;
        Ok(Live { ingester, shutdown, registry, task })
    }

    /// Cuts the power and starts again.
    pub async fn crash(&mut self, live: Live) -> Live {
        self.disk.crash(Crash::Power);
        live.shutdown.run(Duration::from_secs(60)).await;
        // Whether it ended well is not asked of a process that was cut off.
        let _ = live.task.await;
        self.disk = self.disk.reboot();
        self.start().await
    }

    /// Blocks of the tenant in the catalog.
    pub async fn blocks(&self) -> Vec<BlockEntry> {
        self.catalog.refresh(&tenant()).await.unwrap().all_blocks().await.unwrap()
    }
}

impl Live {
    /// Ends it gracefully.
    pub async fn stop(self) {
        assert_eq!(self.shutdown.run(Duration::from_secs(60)).await, Vec::<&str>::new());
        self.task.await.unwrap().unwrap();
    }

    /// The value of a counter.
    pub fn counter(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
    }

    pub async fn append(&self, partition: u32, content: &Content) -> Result<u64, Status> {
        let mut batch = WriteBatch::new(tenant());
        for (name, samples) in content {
            let labels =
                Labels::from_pairs([("__name__", name.as_str()), ("job", "test")]).unwrap();
            let mut series = BatchSeries::new(SeriesId::New(labels));
            for (time, value) in samples {
                series.floats.push(*time, *value, 0);
            }
            batch.series.push(series);
        }
        let request = v1::AppendRequest {
            partition,
            batch: batch.encode(),
            max_series: 0,
            out_of_order_window_ms: WINDOW_MS,
            tenant: tenant().to_string(),
        };
        let answer = self.ingester.append(Request::new(request)).await?.into_inner();
        assert_eq!(answer.refusals, []);
        Ok(answer.samples)
    }

    pub async fn ship(&self) -> Result<Vec<String>, Status> {
        let answer = self.ingester.ship(Request::new(v1::ShipRequest::default())).await?;
        Ok(answer.into_inner().blocks)
    }

    /// All samples of the tenant that the heads still hold.
    pub async fn read(&self) -> Content {
        self.select(select_request()).await.unwrap().1
    }

    /// The seam's version and the samples.
    pub async fn select(&self, request: v1::SelectRequest) -> Result<(u64, Content), Status> {
        let mut frames = Store::select(&self.ingester, Request::new(request)).await?.into_inner();
        let (mut released_at, mut content) = (None, Content::new());
        while let Some(frame) = frames.next().await {
            let part = read_frame(frame?).unwrap();
            let before = released_at.replace(part.released_at);
            assert!(before.is_none_or(|before| before == part.released_at));
            for series in part.series {
                let all = TimeRange::new(i64::MIN, i64::MAX);
                let (FloatSamples { times, values, .. }, _) = series.decode(all).unwrap();
                let name = series.labels.metric_name().to_owned();
                let samples = times.into_iter().zip(values).collect();
                assert_eq!(content.insert(name, samples), None, "a series came twice");
            }
        }
        Ok((released_at.unwrap(), content))
    }
}

pub fn matchers() -> Vec<v1::Matcher> {
    convert::matchers(&[Matcher::new(MatchOp::Equal, "job", "test").unwrap()])
}

pub fn scope() -> Option<v1::Scope> {
    Some(convert::scope(&tenant(), TimeRange::new(i64::MIN, i64::MAX)))
}

pub fn select_request() -> v1::SelectRequest {
    v1::SelectRequest { scope: scope(), matchers: matchers() }
}

/// Series `names`, with `count` samples a second apart from `from` on.
pub fn content(names: std::ops::Range<u32>, from: i64, count: i64) -> Content {
    let samples = |n: u32| (0..count).map(move |i| (from + i * 1000, f64::from(n) + i as f64));
    names.map(|n| (format!("m{n:04}"), samples(n).collect())).collect()
}
