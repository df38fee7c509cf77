//! The engine over Varve's own roles in this process: an ingester and a
//! store-gateway, reached as a querier reaches them. A fresh tenant stands for
//! a fresh storage.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::service::Routes;
use varve_bucket::{Bucket, BucketConfig, CacheConfig, Catalog, CatalogConfig, FileCache};
use varve_cluster::{
    Address, LocalNetwork, MAX_MESSAGE, Pool, RpcConfig, Topology, TopologyConfig, serve_local,
    serve_tcp,
};
use varve_ingester::Ingester;
use varve_log::RealDisk;
use varve_model::{Series, TenantId};
use varve_promql::engine::{Cancel, Engine, Query};
use varve_query::{QueryConfig, Reader};
use varve_runtime::config::HumanDuration;
use varve_runtime::{Clock, Shutdown, SystemClock};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};
use varve_wire::v1;
use varve_wire::v1::ingest_client::IngestClient;
use varve_wire::v1::store_server::StoreServer;

use super::{Place, Reply};

/// Never, for what happens only when it is asked for.
const NEVER: HumanDuration = HumanDuration::from_secs(365 * 24 * 3600);

/// An ingester, a store-gateway and a reader of both.
pub struct Services {
    runtime: Runtime,
    engine: Engine,
    reader: Reader,
    pool: Arc<Pool>,
    heads: Ingester,
    registry: Registry,
    shutdown: Shutdown,
    tenants: usize,
    /// Whether samples are shipped before they are asked for.
    ship: bool,
    unshipped: bool,
    _dir: TempDir,
}

impl Services {
    /// Answers from the head.
    pub fn head() -> Self {
        Self::start(false)
    }

    /// Answers from shipped blocks; nothing is left in the head.
    pub fn blocks() -> Self {
        Self::start(true)
    }

    fn start(ship: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("build a runtime");
        let dir = tempfile::tempdir().expect("make a folder");
        let (registry, shutdown) = (Registry::new(), Shutdown::new());
        let (reader, pool, heads) = runtime.block_on(roles(&dir, &registry, &shutdown));
        let engine = Engine::new(super::options());
        let (tenants, unshipped) = (0, false);
        Self {
            runtime,
            engine,
            reader,
            pool,
            heads,
            registry,
            shutdown,
            tenants,
            ship,
            unshipped,
            _dir: dir,
        }
    }

    /// Series that the ingester and the store-gateway have sent so far.
    pub fn series_sent(&self) -> (u64, u64) {
        let counter = |name: &str| {
            let families = self.registry.gather();
            let family = families.iter().find(|f| f.name() == name);
            let family = family.unwrap_or_else(|| panic!("there is no metric {name}"));
            family.get_metric().iter().map(|m| m.get_counter().get_value()).sum::<f64>() as u64
        };
        (
            counter("varve_ingester_series_sent_total"),
            counter("varve_store_gateway_series_sent_total"),
        )
    }

    fn tenant(&self) -> TenantId {
        TenantId::new(&format!("script-{}", self.tenants)).expect("is a name")
    }

    fn ingester(&self) -> IngestClient<tonic::transport::Channel> {
        // A channel that is made starts a task.
        let _inside = self.runtime.enter();
        let channel = self.pool.channel(&Address::Local).expect("is an address");
        IngestClient::new(channel).max_encoding_message_size(MAX_MESSAGE)
    }
}

/// Starts the roles over a bucket in memory; returns the way to them.
async fn roles(
    dir: &TempDir,
    registry: &Registry,
    shutdown: &Shutdown,
) -> (Reader, Arc<Pool>, Ingester) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let name = format!("memory://{}", dir.path().display());
    let bucket = Bucket::open(&name, &BucketConfig::default(), registry).expect("open the bucket");
    let catalog = Catalog::open(bucket.clone(), Arc::clone(&clock), CatalogConfig::default());
    let catalog = Arc::new(catalog.expect("open the catalog"));

    let deps = varve_ingester::Deps {
        data_dir: dir.path().join("ingester"),
        partitions: vec![0],
        catalog: Arc::clone(&catalog),
        clock,
        disk: Arc::new(RealDisk),
        registry: registry.clone(),
        shutdown: shutdown.register(1, "ingester"),
    };
    let config = varve_ingester::Config {
        seal_interval: NEVER,
        ship_check_interval: NEVER,
        hold: HumanDuration::from_secs(0),
        ..Default::default()
    };
    let ingester = varve_ingester::start(config, deps).await.expect("start an ingester");
    let heads = ingester.ingester.clone();
    let cache = FileCache::open(bucket, CacheConfig::default()).await.expect("open a cache");
    let gateway = varve_store_gateway::start(&Default::default(), cache, registry);
    let gateway = gateway.expect("start a store-gateway");

    // The process' own network has one listener, so the gateway has a socket.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on loopback");
    let address = listener.local_addr().expect("has an address").to_string();
    let local = Arc::new(LocalNetwork::new());
    let mut ingest = Routes::builder();
    ingest.add_service(ingester.ingest).add_service(ingester.store);
    let gateway = StoreServer::new(gateway).max_encoding_message_size(MAX_MESSAGE);
    let store = Routes::new(gateway);
    tokio::spawn(serve_local(Arc::clone(&local), ingest.routes(), shutdown.register(0, "ingest")));
    tokio::spawn(serve_tcp(listener, store, shutdown.register(0, "store")));

    let topology = TopologyConfig {
        store_gateways: vec![address.parse().expect("is an address")],
        ..TopologyConfig::default()
    };
    let topology = Arc::new(Topology::new(&topology).expect("is a topology"));
    let pool = Arc::new(Pool::new(RpcConfig::default(), local));
    let metrics = varve_query::Metrics::new(registry).expect("register metrics");
    let (config, way) = (QueryConfig::default(), Arc::clone(&pool));
    (Reader::new(config, topology, way, catalog, metrics), pool, heads)
}

impl Place for Services {
    fn clear(&mut self) {
        self.tenants += 1;
    }

    fn load(&mut self, series: Vec<Series>) {
        let mut batch = WriteBatch::new(self.tenant());
        for s in series {
            let mut new = BatchSeries::new(SeriesId::New(s.labels));
            for (i, (time, v)) in s.floats.times.iter().zip(&s.floats.values).enumerate() {
                new.floats.push(*time, *v, s.floats.start(i));
            }
            for (i, (time, h)) in s.histograms.times.iter().zip(&s.histograms.values).enumerate() {
                new.histograms.push(*time, Arc::clone(h), s.histograms.start(i));
            }
            batch.series.push(new);
        }
        let request = v1::AppendRequest {
            partition: 0,
            batch: batch.encode(),
            max_series: 0,
            out_of_order_window_ms: 0,
            tenant: self.tenant().to_string(),
        };
        let answer = self.runtime.block_on(self.ingester().append(request));
        let answer = answer.expect("append").into_inner();
        assert!(answer.refusals.is_empty(), "{:?}", answer.refusals);
        self.unshipped = true;
    }

    fn ask(&mut self, query: &Query) -> Result<Reply, String> {
        if self.ship && std::mem::take(&mut self.unshipped) {
            let shipped = self.runtime.block_on(self.ingester().ship(v1::ShipRequest::default()));
            shipped.expect("ship");
            // A seal lets go of what has shipped.
            self.runtime.block_on(self.heads.seal_all());
        }
        let session = self.reader.session(self.tenant());
        let (source, budget) = (session.source(), session.budget());
        let answer = self.engine.run(query, source, budget, Cancel::default());
        let answer = self.runtime.block_on(answer).map(Reply::from).map_err(|e| e.to_string());
        drop(session);
        assert_eq!(self.reader.memory_used(), 0, "memory is still charged after {}", query.text);
        answer
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.runtime.block_on(self.shutdown.run(Duration::from_secs(10)));
    }
}
