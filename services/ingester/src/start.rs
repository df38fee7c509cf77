//! Starting an ingester: open the log, replay all partitions at once, then
//! seal and ship in the background until shutdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use varve_bucket::Catalog;
use varve_cluster::MAX_MESSAGE;
use varve_head::{HeadConfig, Partition};
use varve_log::{Disk, RealDisk, SegmentLog, SegmentLogConfig};
use varve_runtime::{Clock, ShutdownToken, random_bytes};
use varve_wire::v1::ingest_server::IngestServer;
use varve_wire::v1::store_server::StoreServer;

use crate::Config;
use crate::admission::Admission;
use crate::disk::DiskGuard;
use crate::error::{IngesterError, Result};
use crate::metrics::Metrics;
use crate::scope::blocking;
use crate::ship::Waiting;

/// What an ingester gets from outside.
pub struct Deps {
    /// Folder for log, seals and scratch files. The ingester has it for itself.
    pub data_dir: PathBuf,
    /// The partitions to host.
    pub partitions: Vec<u32>,
    /// Where blocks are committed; its bucket is where they are uploaded.
    pub catalog: Arc<Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where log and seals are kept. Blocks under construction always are in
    /// real files below `data_dir`.
    pub disk: Arc<dyn Disk>,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Ends the ingester; asked for by it after a fatal error.
    pub shutdown: ShutdownToken,
}

/// An ingester that serves.
pub struct Running {
    /// To be mounted by the binary.
    pub ingest: IngestServer<Ingester>,
    /// To be mounted by the binary.
    pub store: StoreServer<Ingester>,
    /// The ingester itself.
    pub ingester: Ingester,
    /// Ends after the shutdown, when everything is on disk (and, if so set, in
    /// the bucket). An error is one after which the process must not go on.
    pub task: JoinHandle<Result<(), IngesterError>>,
}

/// An ingester; clones are the same one.
#[derive(Clone)]
pub struct Ingester(Arc<Inner>);

/// What the calls share.
pub struct Inner {
    pub(crate) config: Config,
    pub(crate) partitions: BTreeMap<u32, Arc<Hosted>>,
    pub(crate) log: Arc<SegmentLog>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: DiskGuard,
    pub(crate) admission: Admission,
    pub(crate) metrics: Metrics,
    pub(crate) scratch: PathBuf,
    pub(crate) builders: Arc<Semaphore>,
    pub(crate) uploads: Semaphore,
    /// Held while a block is built and uploaded on a disk that is short.
    pub(crate) one_block: Mutex<()>,
    pub(crate) selects: Arc<Semaphore>,
    /// Ends sealing, shipping and watching.
    pub(crate) stop: CancellationToken,
}

/// A partition that is hosted here.
pub(crate) struct Hosted {
    pub id: u32,
    pub partition: Arc<Partition>,
    /// Held while shipping, so that each partition ships one thing at a time.
    pub waiting: Mutex<Waiting>,
}

impl Deref for Ingester {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Ingester {
    pub(crate) fn hosted(&self, id: u32) -> Result<&Arc<Hosted>> {
        self.partitions.get(&id).ok_or(IngesterError::NotHosted(id))
    }
}

/// Opens log and partitions (returns when all is replayed), and starts sealing
/// and shipping.
///
/// # Errors
/// When log or seals are corrupt or cannot be read, or a setting is wrong.
pub async fn start(config: Config, deps: Deps) -> Result<Running, IngesterError> {
    config.validate().map_err(IngesterError::Config)?;
    let lock = lock_folder(&deps.data_dir)?;
    let scratch = deps.data_dir.join("scratch");
    match std::fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(IngesterError::io("empty", &scratch)(error));
        }
        _ => {}
    }
    std::fs::create_dir_all(&scratch).map_err(IngesterError::io("create", &scratch))?;
    let log = {
        let settings = SegmentLogConfig {
            segment_bytes: config.log_segment.0,
            queue_bytes: usize::try_from(config.log_queue.0).unwrap_or(usize::MAX),
            stepped: config.log_stepped,
            metrics: varve_log::Metrics::new(&deps.registry)?,
            ..SegmentLogConfig::default()
        };
        let (disk, dir) = (Arc::clone(&deps.disk), deps.data_dir.join("log"));
        blocking("opening the log", move || Ok(SegmentLog::open(disk, &dir, settings)?)).await?
    };
    let partitions = open_partitions(&config, &deps, &log).await?;
    let ingester = Ingester(Arc::new(Inner {
        admission: Admission::new(&config),
        disk: DiskGuard::new(config.disk_high_water),
        builders: Arc::new(Semaphore::new(config.build_concurrency)),
        uploads: Semaphore::new(config.upload_concurrency),
        one_block: Mutex::default(),
        selects: Arc::new(Semaphore::new(config.select_concurrency)),
        config,
        partitions,
        log,
        catalog: deps.catalog,
        clock: deps.clock,
        metrics: Metrics::new(&deps.registry)?,
        scratch,
        stop: CancellationToken::new(),
    }));
    ingester.watch_disk_once();
    let task = tokio::spawn(run(ingester.clone(), lock, deps.shutdown));
    let ingest = IngestServer::new(ingester.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let store = StoreServer::new(ingester.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Ok(Running { ingest, store, ingester, task })
}

async fn open_partitions(
    config: &Config,
    deps: &Deps,
    log: &SegmentLog,
) -> Result<BTreeMap<u32, Arc<Hosted>>> {
    let metrics = varve_head::Metrics::new(&deps.registry)?;
    let mut opening = JoinSet::new();
    // What is in the log but hosted no longer is opened too, to see that
    // nothing in it would be forgotten.
    let all: BTreeSet<u32> = deps.partitions.iter().copied().chain(log.partitions()).collect();
    for id in all {
        let head = HeadConfig {
            partition: id,
            hold: config.hold.0,
            cut_delay: config.cut_delay.0,
            cut_spread: config.cut_spread.0,
            late_cut_interval: config.late_cut_interval.0,
            // Below 2^62, so that it never runs out; above 0, which means none.
            first_reference: (u64::from_le_bytes(random_bytes()) >> 2) | 1,
            ..HeadConfig::default()
        };
        let dir = deps.data_dir.join("partitions").join(id.to_string());
        let (disk, clock) = (Arc::clone(&deps.disk), Arc::clone(&deps.clock));
        let (part, metrics) = (log.partition(id), metrics.clone());
        opening.spawn(async move {
            let partition = Partition::open(dir, disk, part, head, clock, metrics).await?;
            Ok::<_, IngesterError>(Hosted { id, partition, waiting: Mutex::default() })
        });
    }
    let mut partitions = BTreeMap::new();
    while let Some(opened) = opening.join_next().await {
        let hosted = opened.map_err(|_| IngesterError::CutOff("opening a partition"))??;
        partitions.insert(hosted.id, Arc::new(hosted));
    }
    let (hosted, strays): (BTreeMap<_, _>, BTreeMap<_, _>) =
        partitions.into_iter().partition(|(id, _)| deps.partitions.contains(id));
    for (id, stray) in strays {
        let head = &stray.partition;
        if !head.uncut().is_empty() || !head.unfinished_cuts().is_empty() {
            return Err(IngesterError::Unshipped(id));
        }
    }
    Ok(hosted)
}

/// Makes sure that no other process works in the folder, for as long as the
/// file is open. The lock goes with the process, however it ends.
fn lock_folder(dir: &Path) -> Result<File> {
    // Durable, also those above it: log and seals stand in it.
    RealDisk.create_dir_all(dir).map_err(IngesterError::io("create", dir))?;
    let path = dir.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(IngesterError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(IngesterError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(IngesterError::io("lock", &path)(error)),
    }
}

/// Works in the background until shutdown or a fatal error; then gives up the
/// folder.
async fn run(ingester: Ingester, lock: File, shutdown: ShutdownToken) -> Result<()> {
    let done = work(&ingester, &shutdown).await;
    let log = Arc::clone(&ingester.log);
    let closed = blocking("closing the log", move || {
        log.close();
        Ok(())
    });
    let closed = closed.await;
    drop(lock);
    done.and(closed)
}

async fn work(ingester: &Ingester, shutdown: &ShutdownToken) -> Result<()> {
    let mut background: JoinSet<Option<()>> = JoinSet::new();
    let stop = ingester.stop.clone();
    background.spawn(stop.clone().run_until_cancelled_owned(ingester.clone().watch_disk()));
    background.spawn(stop.clone().run_until_cancelled_owned(ingester.clone().relief_loop()));
    let turns = u32::try_from(ingester.partitions.len()).unwrap_or(u32::MAX);
    for (turn, hosted) in (0..).zip(ingester.partitions.values()) {
        let (seals, ships) = (ingester.clone(), ingester.clone());
        let (sealed, shipped) = (Arc::clone(hosted), Arc::clone(hosted));
        background.spawn(async move {
            seals.seal_loop(sealed, turn, turns).await;
            None
        });
        background.spawn(stop.clone().run_until_cancelled_owned(ships.ship_loop(shipped)));
    }
    let failure = tokio::select! {
        () = shutdown.cancelled() => None,
        error = failed(ingester) => Some(error),
    };
    stop.cancel();
    while background.join_next().await.is_some() {}
    if let Some(error) = failure {
        tracing::error!(%error, "ingester cannot go on");
        shutdown.request_shutdown();
        return Err(error);
    }
    if ingester.config.ship_on_shutdown {
        for hosted in ingester.partitions.values() {
            if let Err(error) = ingester.ship_all(hosted).await {
                tracing::warn!(partition = hosted.id, %error, "ship before the end");
            }
        }
    }
    Ok(())
}

/// Returns when log or a head can no longer work.
async fn failed(ingester: &Ingester) -> IngesterError {
    let mut heads = JoinSet::new();
    for hosted in ingester.partitions.values() {
        let partition = Arc::clone(&hosted.partition);
        heads.spawn(async move { partition.failed().await });
    }
    let head = async {
        match heads.join_next().await {
            Some(Ok(error)) => IngesterError::Head(error),
            Some(Err(_)) => IngesterError::CutOff("a head"),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        error = ingester.log.fatal() => IngesterError::Log(error),
        error = head => error,
    }
}
