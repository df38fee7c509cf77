//! The table of roles: each is built from its settings and the base.

use std::path::PathBuf;
use std::sync::Arc;

use tonic::service::Routes;
use varve_api::{Querier, Writer};
use varve_bucket::{CacheConfig, FileCache};
use varve_cluster::MAX_MESSAGE;
use varve_distributor::GrpcPartitions;
use varve_log::RealDisk;
use varve_query::Reader;
use varve_runtime::random_bytes;
use varve_wire::v1::store_server::StoreServer;

use super::late::Late;
use super::limits::LimitsRetention;
use super::store::Stores;
use super::{Base, STAGE_CACHES, STAGE_ROLES};
use crate::cli::Failure;
use crate::config::Role;

/// Starts the configured roles, those that others stand on first; returns
/// the gRPC routes that they serve.
pub(super) async fn start(
    base: &Base,
    writer: &Late<dyn Writer>,
    querier: &Late<dyn Querier>,
) -> Result<Routes, Failure> {
    let mut stores = Stores::default();
    let mut routes = Routes::builder();
    if base.config.has(Role::Ingester) {
        let running = ingester(base).await?;
        routes.add_service(running.ingest);
        stores.heads = Some(running.ingester);
    }
    if base.config.has(Role::StoreGateway) {
        stores.blocks = Some(store_gateway(base).await?);
    }
    routes.add_service(
        StoreServer::new(stores.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
    );
    if base.config.has(Role::Distributor) {
        writer.set(distributor(base)?);
    }
    if base.config.has(Role::Querier) {
        querier.set(read(base, stores)?);
    }
    if base.config.has(Role::Compactor) {
        compactor(base)?;
    }
    Ok(routes.routes())
}

async fn ingester(base: &Base) -> Result<varve_ingester::Running, Failure> {
    let deps = varve_ingester::Deps {
        data_dir: base.config.data_dir.join("ingester"),
        partitions: base.config.hosted_partitions()?,
        catalog: Arc::clone(&base.catalog),
        clock: Arc::clone(&base.clock),
        disk: Arc::new(RealDisk),
        registry: base.registry.clone(),
        shutdown: base.shutdown.register(STAGE_ROLES, "ingester"),
    };
    Ok(varve_ingester::start(base.config.ingester.clone(), deps).await?)
}

async fn store_gateway(base: &Base) -> Result<varve_store_gateway::Gateway, Failure> {
    let settings = &base.config.store_gateway;
    let disk_dir: PathBuf =
        settings.cache.disk_dir.clone().unwrap_or_else(|| base.config.data_dir.join("cache"));
    let cache = CacheConfig { disk_dir: Some(disk_dir), ..settings.cache.clone() };
    let cache = FileCache::open(base.bucket.clone(), cache).await?;
    let token = base.shutdown.register(STAGE_CACHES, "file-cache");
    let closing = cache.clone();
    tokio::spawn(async move {
        token.cancelled().await;
        closing.close().await;
    });
    Ok(varve_store_gateway::start(settings, cache, &base.registry)?)
}

fn distributor(base: &Base) -> Result<Arc<dyn Writer>, Failure> {
    let partitions = 0..base.topology.partitions();
    let channels = partitions
        .filter_map(|p| base.topology.owner(p))
        .map(|address| base.pool.channel(address))
        .collect::<Result<_, _>>()?;
    let deadline = base.config.distributor.request_timeout.0;
    let deps = varve_distributor::Deps {
        partitions: Arc::new(GrpcPartitions::new(channels, deadline, MAX_MESSAGE)),
        limits: base.overrides.clone(),
        clock: Arc::clone(&base.clock),
        fingerprint_key: random_bytes(),
        registry: base.registry.clone(),
    };
    Ok(varve_distributor::start(base.config.distributor.clone(), deps)?)
}

fn read(base: &Base, stores: Stores) -> Result<Arc<dyn Querier>, Failure> {
    let reader = Reader::new(
        base.config.querier.reads.clone(),
        Arc::clone(&base.topology),
        Arc::clone(&base.pool),
        Arc::clone(&base.catalog),
        varve_query::Metrics::new(&base.registry)?,
    )
    .with_near(Arc::new(stores));
    let (config, clock) = (base.config.querier.clone(), Arc::clone(&base.clock));
    Ok(varve_querier::start(config, reader, clock, &base.registry)?)
}

fn compactor(base: &Base) -> Result<(), Failure> {
    let compactor = varve_compactor::start(
        base.config.compactor.clone(),
        Arc::clone(&base.catalog),
        Arc::clone(&base.clock),
        Arc::new(LimitsRetention(base.overrides.clone())),
        &base.registry,
    )?;
    let token = base.shutdown.register(STAGE_ROLES, "compactor");
    tokio::spawn(async move { compactor.run(token).await });
    Ok(())
}
