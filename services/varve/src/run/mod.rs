//! Running roles: bind, build from the bottom up, serve, and stop in order.
//!
//! ```text
//! stage 0  HTTP and gRPC stop taking requests, those in flight finish
//! stage 1  ingesters seal (and ship, when told to); compactor and limits end
//! stage 2  the file cache is written to disk
//! ```

mod admin;
mod late;
mod limits;
mod roles;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use varve_api::{Querier, Writer};
use varve_bucket::{Bucket, Catalog};
use varve_cluster::{LocalNetwork, Pool, serve_local, serve_tcp};
use varve_log::{Disk, RealDisk};
use varve_model::TenantId;
use varve_runtime::{Clock, Shutdown, SystemClock, configure_failpoints_from_env, init_tracing};

use crate::cli::Failure;
use crate::config::{Config, Role};
use admin::ProcessAdmin;
use late::Late;

/// Listeners stop first.
const STAGE_LISTENERS: u8 = 0;
/// Then what they fed.
const STAGE_ROLES: u8 = 1;
/// Then what roles stand on.
const STAGE_CACHES: u8 = 2;

/// Runs the configured roles until a signal, or a fatal error, stops them.
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    init_tracing(&config.log.filter, config.log.format)?;
    configure_failpoints_from_env()?;
    crate::allocator::runtime()?.block_on(serve(config))
}

/// What every role is built from.
struct Base {
    config: Config,
    clock: Arc<dyn Clock>,
    registry: Registry,
    shutdown: Shutdown,
    topology: Arc<varve_cluster::Topology>,
    pool: Arc<Pool>,
    bucket: Bucket,
    catalog: Arc<Catalog>,
    overrides: watch::Receiver<Arc<varve_distributor::Overrides>>,
}

async fn serve(config: Config) -> Result<(), Failure> {
    // Bind before anything else: a port in use is found at once.
    let http = bind("server.http_listen", config.server.http_listen).await?;
    let grpc = bind("server.grpc_listen", config.server.grpc_listen).await?;

    tokio::spawn(crate::allocator::rounds());
    let registry = Registry::new();
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shutdown = Shutdown::new();
    let local = Arc::new(LocalNetwork::new());
    let topology = Arc::new(config.topology()?);
    let pool = Arc::new(Pool::new(config.rpc.clone(), Arc::clone(&local)));

    let writer: Arc<Late<dyn Writer>> = Late::new("distributor");
    let querier: Arc<Late<dyn Querier>> = Late::new("querier");
    let admin = Arc::new(ProcessAdmin {
        config_yaml: config.to_public_yaml()?,
        topology: Arc::clone(&topology),
        pool: Arc::clone(&pool),
        ready: AtomicBool::new(false),
    });
    let router = varve_api::router(varve_api::Services {
        writer: config.has(Role::Distributor).then(|| Arc::clone(&writer) as Arc<dyn Writer>),
        querier: config.has(Role::Querier).then(|| Arc::clone(&querier) as Arc<dyn Querier>),
        admin: Arc::clone(&admin) as Arc<dyn varve_api::Admin>,
        registry: registry.clone(),
        clock: Arc::clone(&clock),
        build: varve_api::BuildInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..varve_api::BuildInfo::default()
        },
        process: process_info(&config)?,
        max_write_body: usize::try_from(config.server.max_write_body.0).unwrap_or(usize::MAX),
    })?;
    let token = shutdown.register(STAGE_LISTENERS, "http");
    let stop = token.token();
    tracing::info!(address = %config.server.http_listen, "http listens");
    tokio::spawn(async move {
        if let Err(error) = varve_api::serve(http, router, stop.cancelled_owned()).await {
            tracing::error!(%error, "http ends");
            token.request_shutdown();
        }
    });

    RealDisk
        .create_dir_all(&config.data_dir)
        .map_err(|e| format!("create data folder {}: {e}", config.data_dir.display()))?;
    let bucket = Bucket::open(&config.bucket_url(), &config.bucket.client, &registry)?;
    let catalog =
        Arc::new(Catalog::open(bucket.clone(), Arc::clone(&clock), config.catalog.clone())?);
    let (limits, overrides) = watch::channel(Arc::new(config.overrides()?));
    tokio::spawn(limits::follow(config.clone(), limits, shutdown.register(STAGE_ROLES, "limits")));

    let timeout = config.server.shutdown_timeout.0;
    let grpc_address = config.server.grpc_listen;
    let base =
        Base { config, clock, registry, shutdown, topology, pool, bucket, catalog, overrides };
    let routes = roles::start(&base, &writer, &querier).await?;

    // The same routes on both networks: one code path for one process and many.
    tracing::info!(address = %grpc_address, "grpc listens");
    for (name, served) in [("grpc", Some(grpc)), ("grpc-local", None)] {
        let token = base.shutdown.register(STAGE_LISTENERS, name);
        let (routes, local, shutdown) = (routes.clone(), Arc::clone(&local), base.shutdown.clone());
        tokio::spawn(async move {
            let ended = match served {
                Some(listener) => serve_tcp(listener, routes, token).await,
                None => serve_local(local, routes, token).await,
            };
            if let Err(error) = ended {
                tracing::error!(%error, name, "grpc ends");
                shutdown.request();
            }
        });
    }
    admin.ready.store(true, Ordering::Release);
    tracing::info!(roles = ?base.config.roles, bucket = base.bucket.url(), "ready");

    let signal = stop_signal()?;
    tokio::select! {
        name = signal => tracing::info!(signal = name, "stopping"),
        () = base.shutdown.requested() => tracing::error!("stopping after a fatal error"),
    }
    admin.ready.store(false, Ordering::Release);
    let pending = base.shutdown.run(timeout).await;
    if pending.is_empty() {
        tracing::info!("stopped");
        Ok(())
    } else {
        Err(format!(
            "still busy after {timeout:?} (setting server.shutdown_timeout): {}",
            pending.join(", ")
        )
        .into())
    }
}

fn process_info(config: &Config) -> Result<varve_api::ProcessInfo, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(varve_api::ProcessInfo {
        folder: std::env::current_dir()?.to_string_lossy().into_owned(),
        host: host.trim().to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        retention: config.overrides()?.tenant(&TenantId::anonymous()).retention.to_string(),
    })
}

async fn bind(setting: &str, address: std::net::SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|e| format!("listen on {address} ({setting}): {e}").into())
}

/// Waits for SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = &'static str>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
