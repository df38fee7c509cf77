//! The log with one replica: all partitions of one disk in shared segments.
//!
//! Appends of all partitions queue up for one writer thread, which writes what
//! has gathered with one call, syncs once and answers everybody
//! ([`writer`]). Start reads all segments and checks them ([`recover`]).

mod format;
mod index;
mod recover;
mod scan;
mod subscribe;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use crate::{Disk, LogError, Metrics, PartitionLog, Space};
use index::Index;
use view::View;
use writer::{Request, Writer};

/// Settings of a [`SegmentLog`].
#[derive(Clone, Debug)]
pub struct SegmentLogConfig {
    /// Length of a segment file, all of it reserved when it is created. At
    /// least 32 KiB and less than 4 GiB. A payload may have half of it.
    pub segment_bytes: u64,
    /// Unneeded segment files kept for reuse; more are removed. Writing into
    /// reused files syncs 2–10 times faster than into new ones.
    pub spare_segments: usize,
    /// Payload bytes that may wait for the disk; appends beyond wait.
    pub queue_bytes: usize,
    /// Most payload bytes that share one write and one sync.
    pub batch_bytes: usize,
    /// Payload bytes of the newest entries kept in memory per partition, so
    /// that a subscriber that keeps up reads nothing from disk.
    pub tail_bytes: usize,
    /// Writes on the threads that append, one batch whenever one waits for
    /// its answer, instead of on a thread of its own: for simulations, whose
    /// runs are to be the same each time.
    pub stepped: bool,
    /// Where the log counts.
    pub metrics: Metrics,
}

impl Default for SegmentLogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            spare_segments: 4,
            queue_bytes: 64 << 20,
            batch_bytes: 8 << 20,
            tail_bytes: 1 << 20,
            stepped: false,
            metrics: Metrics::unregistered(),
        }
    }
}

/// The logs of all partitions that share a folder.
///
/// Dropping it and all views of it writes what is queued and stops the writer
/// thread.
pub struct SegmentLog {
    shared: Arc<Shared>,
    thread: Arc<WriterThread>,
}

/// What writer, views and subscribers have in common.
struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: SegmentLogConfig,
    queue: Mutex<Queue>,
    /// Wakes the writer.
    queued: Condvar,
    /// One permit per payload byte that may wait.
    room: Arc<Semaphore>,
    partitions: RwLock<BTreeMap<u32, Arc<PartitionState>>>,
    closed: watch::Sender<Option<Closed>>,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    stop: bool,
    closed: Option<LogError>,
}

#[derive(Clone)]
struct Closed {
    error: LogError,
    fatal: bool,
}

struct PartitionState {
    id: u32,
    index: Mutex<Index>,
    /// The last durable index, for those who wait for more.
    durable: watch::Sender<u64>,
}

/// Stops the writer when the last user of the log is gone.
struct WriterThread {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// A writer at work.
enum Running {
    Thread(JoinHandle<()>),
    Stepped(Box<Writer>),
}

impl SegmentLog {
    /// Opens the log in `dir`, which it has for itself; creates the folder if
    /// there is none. Reads every segment (blocking, about as fast as the
    /// disk reads).
    ///
    /// Errors: `Corrupt` naming file and offset if anything that was synced is
    /// not readable; `Io`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: SegmentLogConfig,
    ) -> Result<Arc<Self>, LogError> {
        let limits = 32 << 10..u64::from(u32::MAX);
        if !limits.contains(&config.segment_bytes) || config.queue_bytes == 0 {
            let message = format!(
                "segment_bytes {} is outside {} to {}, or queue_bytes {} is 0",
                config.segment_bytes, limits.start, limits.end, config.queue_bytes
            );
            let source = io::Error::new(io::ErrorKind::InvalidInput, message);
            return Err(LogError::io("configure the log in", dir, source));
        }
        disk.create_dir_all(dir).map_err(|e| LogError::io("create", dir, e))?;
        let mut recovered = recover::recover(&*disk, dir, config.segment_bytes)?;
        let partitions = std::mem::take(&mut recovered.partitions)
            .into_iter()
            .map(|(id, index)| (id, Arc::new(PartitionState::new(id, index))))
            .collect();
        let shared = Arc::new(Shared {
            disk,
            dir: dir.to_owned(),
            queue: Mutex::default(),
            queued: Condvar::new(),
            room: Arc::new(Semaphore::new(config.queue_bytes.min(Semaphore::MAX_PERMITS))),
            config,
            partitions: RwLock::new(partitions),
            closed: watch::Sender::new(None),
        });
        let writer = Writer::new(Arc::clone(&shared), recovered);
        let running = if shared.config.stepped {
            Running::Stepped(Box::new(writer))
        } else {
            let handle = std::thread::Builder::new()
                .name("varve-log".to_owned())
                .spawn(move || writer.run())
                .map_err(|e| LogError::io("start the writer of", dir, e))?;
            Running::Thread(handle)
        };
        let running = Mutex::new(Some(running));
        let thread = WriterThread { shared: Arc::clone(&shared), running };
        Ok(Arc::new(Self { shared, thread: Arc::new(thread) }))
    }

    /// The log of one partition; it begins empty if it was never written.
    pub fn partition(&self, id: u32) -> Arc<dyn PartitionLog> {
        let state = Arc::clone(
            self.shared
                .partitions
                .write()
                .entry(id)
                .or_insert_with(|| Arc::new(PartitionState::new(id, Index::default()))),
        );
        Arc::new(View::new(Arc::clone(&self.shared), Arc::clone(&self.thread), state))
    }

    /// The partitions that have ever been written, in order.
    pub fn partitions(&self) -> Vec<u32> {
        let partitions = self.shared.partitions.read();
        partitions.values().filter(|p| p.index.lock().last > 0).map(|p| p.id).collect()
    }

    /// Room on the disk that holds the log.
    pub fn space(&self) -> io::Result<Space> {
        self.shared.disk.space(&self.shared.dir)
    }

    /// Returns the error after which nothing can be appended any more, once
    /// it has happened: a failed write or sync. What is on the disk is then
    /// known only after recovery, so the process should exit.
    pub async fn fatal(&self) -> LogError {
        let mut closed = self.shared.closed.subscribe();
        loop {
            if let Some(Closed { error, fatal: true }) = closed.borrow_and_update().clone() {
                return error;
            }
            if closed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes what is queued, refuses what comes after, and stops the writer
    /// thread. Blocks.
    pub fn close(&self) {
        self.thread.stop();
    }
}

impl PartitionState {
    fn new(id: u32, index: Index) -> Self {
        let durable = watch::Sender::new(index.last);
        Self { id, index: Mutex::new(index), durable }
    }
}

impl WriterThread {
    /// Sees to it that what is queued gets written.
    async fn wake(&self) {
        self.shared.queued.notify_one();
        if self.shared.config.stepped {
            // Others who append at the same time may share the batch.
            tokio::task::yield_now().await;
            let mut running = self.running.lock();
            if let Some(Running::Stepped(writer)) = &mut *running
                && !writer.step()
            {
                *running = None;
            }
        }
    }

    fn stop(&self) {
        self.shared.queue.lock().stop = true;
        self.shared.queued.notify_all();
        let running = self.running.lock().take();
        match running {
            Some(Running::Thread(handle)) => {
                let ended = handle.join();
                if ended.is_err() {
                    tracing::error!("log writer panicked");
                }
            }
            Some(Running::Stepped(writer)) => writer.run(),
            None => {}
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Refuses everything from here on, and answers all who wait.
    fn close(&self, error: LogError, fatal: bool) {
        let requests = {
            let mut queue = self.queue.lock();
            if queue.closed.is_some() {
                return;
            }
            queue.closed = Some(error.clone());
            std::mem::take(&mut queue.requests)
        };
        self.room.close();
        for request in requests {
            request.answer(Err(error.clone()), &self.config.metrics);
        }
        self.closed.send_replace(Some(Closed { error, fatal }));
    }
}
