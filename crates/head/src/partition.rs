//! The head of one ingest partition: its public face.
//!
//! Every change goes through the log ([`crate::task`] applies it); reads take
//! a snapshot under a short lock. Sealing and cutting are one at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use varve_log::{Disk, EntryKind, PartitionLog};
use varve_model::{Labels, Matcher, TenantId, TimeRange};
use varve_runtime::{Clock, failpoint};

use crate::append::{self, Reserved};
use crate::entry::{CutEntry, SealEntry, ShippedEntry};
use crate::offered::Offered;
use crate::replay::replay;
use crate::seal::{self, Opened, Sealer, Written};
use crate::select::select;
use crate::state::Applied;
use crate::stats::PartitionStats;
use crate::task::{self, Place, Shared};
use crate::waiters::Waiters;
use crate::{
    AppendLimits, AppendOutcome, Cut, CutKey, CutRead, DiskUse, FamilyMetadata, HeadAnswer,
    HeadConfig, HeadError, HeadRead, Metrics, Result, SeriesExemplars,
};

/// The head of one ingest partition.
///
/// Dropping it stops applying; what is in the log is applied again by the
/// next [`Partition::open`].
pub struct Partition {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reserved: Reserved,
    log: Arc<dyn PartitionLog>,
    pub(crate) config: HeadConfig,
    clock: Arc<dyn Clock>,
    places: mpsc::UnboundedSender<Place>,
    /// One seal at a time.
    sealer: Arc<parking_lot::Mutex<Sealer>>,
    sealing: Mutex<()>,
    /// One cut at a time.
    cutting: Mutex<()>,
}

impl Partition {
    /// Opens the partition in `dir`: loads the last seal and replays the log
    /// behind it. Returns when all of it is applied. Several partitions may be
    /// opened at once, each replays in a task of its own.
    ///
    /// # Errors
    /// `Corrupt` names the sealed file and offset that are damaged; nothing is
    /// changed then. `Entry` when the log does not continue the last seal.
    pub async fn open(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        log: Arc<dyn PartitionLog>,
        config: HeadConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Arc<Self>> {
        let (partition, verify) = (config.partition, config.verify_on_open);
        let load = move || seal::load(disk, dir, partition, verify);
        let Opened { state, sealer } = blocking(partition, load).await??;
        let from = state.applied;
        let (failure, _) = watch::channel(None);
        let shared = Arc::new(Shared {
            partition,
            state: RwLock::new(state),
            waiters: Waiters::default(),
            offered: Offered::default(),
            failure,
            metrics,
        });
        let events = replay(&shared, log.subscribe(from.saturating_add(1))).await?;
        let (places, receiver) = mpsc::unbounded_channel();
        tokio::spawn(task::run(Arc::clone(&shared), events, receiver));
        let last = log.read_barrier().await?;
        if last < from {
            let detail = format!("the log ends at {last}, the last seal is of {from}");
            return Err(HeadError::Entry { index: from, detail });
        }
        let inner = Inner {
            shared,
            reserved: Reserved::default(),
            log,
            config,
            clock,
            places,
            sealer: Arc::new(parking_lot::Mutex::new(sealer)),
            sealing: Mutex::new(()),
            cutting: Mutex::new(()),
        };
        let partition = Self { inner: Arc::new(inner) };
        partition.stats();
        Ok(Arc::new(partition))
    }

    /// Appends an encoded [`varve_wire::batch::WriteBatch`]. What was accepted
    /// is durable and in the answer of every later read when this returns.
    ///
    /// # Errors
    /// `Invalid` when the bytes are no batch; `Unavailable` when the log takes
    /// no entries. Dropping the future does not take the batch back.
    pub async fn append(&self, batch: Bytes, limits: AppendLimits) -> Result<AppendOutcome> {
        append::append(&self.inner, batch, limits).await
    }

    /// The series that match, with chunks that may reach beyond the range. The
    /// chunks of a cut carry its term and index, others `u64::MAX`.
    pub fn select(&self, tenant: &TenantId, matchers: &[Matcher], range: TimeRange) -> HeadRead {
        self.select_beside(0, tenant, matchers, range)
    }

    /// As [`Partition::select`] for who reads the blocks that a version of the
    /// tenant's catalog names, too: less what is in those, or in such that were
    /// made of them. In the hold time nothing is read twice then.
    pub fn select_beside(
        &self,
        version: u64,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> HeadRead {
        select(&self.inner.shared.state, tenant, matchers, (range, version))
    }

    /// Label sets that match and have samples in the range, sorted as bytes;
    /// at most `limit` (0 = all).
    pub fn series(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<Labels> {
        let answer = self.inner.shared.state.read().series(tenant, matchers, range);
        answer.sorted(limit)
    }

    /// Label names of the series that match, sorted; at most `limit` (0 = all).
    pub fn label_names(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        self.inner.shared.state.read().label_names(tenant, matchers, range, limit)
    }

    /// Values of one label of the series that match, sorted; at most `limit`
    /// (0 = all).
    pub fn label_values(
        &self,
        tenant: &TenantId,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        self.inner.shared.state.read().label_values(tenant, name, matchers, range, limit)
    }

    /// Exemplars in the range of series that match one of the selectors,
    /// sorted by labels. Reads sealed files (it blocks).
    pub fn exemplars(
        &self,
        tenant: &TenantId,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<HeadAnswer<SeriesExemplars>> {
        let read = self.inner.shared.state.read().exemplars(tenant, selectors, range);
        read.decode()
    }

    /// Metadata, sorted by family; of one family only when `metric` names one.
    /// At most `limit` families (0 = all).
    pub fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<&str>,
        limit: usize,
    ) -> HeadAnswer<FamilyMetadata> {
        self.inner.shared.state.read().metadata(tenant, metric, limit)
    }

    /// Writes everything in memory to files and purges the log behind it; lets
    /// go of what has shipped longer than the hold time ago. All of it is
    /// durable when this returns. Does nothing when nothing happened since.
    ///
    /// # Errors
    /// When the disk is full or fails: the partition goes on without the seal.
    pub async fn seal(&self) -> Result<()> {
        self.run_seal(false).await
    }

    /// As [`Partition::seal`], on a disk that is short of room: what has
    /// shipped leaves at once, whatever the hold time, chunks are not merged,
    /// and names of series that are gone are kept less long.
    ///
    /// # Errors
    /// As those of a seal.
    pub async fn seal_for_room(&self) -> Result<()> {
        self.run_seal(true).await
    }

    async fn run_seal(&self, short: bool) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        // A caller that goes away must not stop a seal in the middle.
        let task = tokio::spawn(async move { inner.seal(short).await });
        task.await.map_err(|_| self.inner.shared.stopped())?
    }

    /// What the partition takes of the disk, and is about to.
    pub fn disk_use(&self) -> DiskUse {
        DiskUse::of(&self.inner.shared.state.read(), self.inner.log.held_bytes())
    }

    /// Bytes of memory that were taken since the last seal: about what the
    /// next one gives back, and what a restart replays.
    pub fn unsealed_bytes(&self) -> u64 {
        let state = self.inner.shared.state.read();
        state.memory().saturating_sub(state.settled) as u64
    }

    /// Windows that should be cut at `now_ms`, oldest first.
    pub fn due(&self, now_ms: i64) -> Vec<CutKey> {
        let after = millis(self.inner.config.cut_delay) + cut_share(&self.inner.config);
        let state = self.inner.shared.state.read();
        let max_time = state.max_time().unwrap_or(i64::MIN);
        let uncut = state.windows.by_end.iter().filter(|(_, w)| w.uncut > 0);
        let due = uncut.filter(|(end, window)| match window.cuts.last() {
            None => {
                let at = end.saturating_add(after);
                at <= max_time || at <= now_ms
            }
            Some(last) => self.inner.may_cut_again(last.at_ms, now_ms),
        });
        due.map(|(end, _)| CutKey { window_end: *end }).collect()
    }

    /// Windows that hold samples which are in no cut, oldest first.
    pub fn uncut(&self) -> Vec<CutKey> {
        let state = self.inner.shared.state.read();
        let uncut = state.windows.by_end.iter().filter(|(_, w)| w.uncut > 0);
        uncut.map(|(end, _)| CutKey { window_end: *end }).collect()
    }

    /// Cuts a window: what is in it now becomes one cut. `None` when it holds
    /// no uncut samples, or (unless `force`) was cut too short a time ago.
    pub async fn cut(&self, window_end: i64, force: bool) -> Result<Option<Cut>> {
        let inner = &self.inner;
        let _one = inner.cutting.lock().await;
        let now = inner.clock.now_ms();
        let number = {
            let state = inner.shared.state.read();
            let window = state.windows.by_end.get(&window_end);
            let Some(window) = window.filter(|w| w.uncut > 0) else { return Ok(None) };
            let too_soon = window.cuts.last().filter(|c| !inner.may_cut_again(c.at_ms, now));
            if too_soon.is_some() && !force {
                return Ok(None);
            }
            // Milliseconds, so that many cuts at once hardly run ahead of the
            // clock: a head that lost its disk must not give a number twice.
            let clock = u64::try_from(now).unwrap_or(0);
            clock.max(state.windows.last_number.saturating_add(1))
        };
        let entry = CutEntry { window_end, number, at_ms: now };
        match inner.propose(EntryKind::Cut, entry.encode()).await? {
            Applied::Cut(cut) => Ok(cut),
            _ => Err(inner.shared.stopped()),
        }
    }

    /// Tenants that have samples or exemplars in a cut, sorted.
    pub fn cut_tenants(&self, cut: &Cut) -> Vec<TenantId> {
        self.inner.shared.state.read().cut_tenants(cut)
    }

    /// A tenant's series of a cut, in block order. Always the same content for
    /// the same cut.
    ///
    /// # Errors
    /// `NoCut` when there is no such cut, or its samples have left the head.
    pub fn cut_series(&self, cut: &Cut, tenant: &TenantId) -> Result<CutRead> {
        CutRead::new(Arc::clone(&self.inner.shared), *cut, tenant.clone())
    }

    /// Cuts that have not shipped, oldest window first. After a restart these
    /// are to be shipped again, with the same number and content.
    pub fn unfinished_cuts(&self) -> Vec<Cut> {
        self.inner.shared.state.read().windows.unfinished()
    }

    /// Records that the blocks of a cut are committed: by tenant, the catalog
    /// version that names its block. Durable when it returns. The samples stay
    /// readable for the hold time.
    ///
    /// # Errors
    /// `NoCut` when there is no such cut; `NotShipped` when a tenant that has
    /// samples in it is missing in `versions`.
    pub async fn shipped(&self, cut: &Cut, versions: BTreeMap<TenantId, u64>) -> Result<()> {
        let Cut { window_end, number, .. } = *cut;
        {
            let state = self.inner.shared.state.read();
            let known = state.windows.find(window_end, number);
            let known = known.ok_or(HeadError::NoCut { window_end, number })?;
            if known.shipped.is_some() {
                return Ok(());
            }
            let missing = state.cut_tenants(cut).into_iter().find(|t| !versions.contains_key(t));
            if let Some(tenant) = missing {
                return Err(HeadError::NotShipped { window_end, number, tenant });
            }
        }
        let at_ms = self.inner.clock.now_ms();
        let entry = ShippedEntry { window_end, number, at_ms, versions };
        self.inner.propose(EntryKind::Shipped, entry.encode()).await?;
        Ok(())
    }

    /// What the partition holds; also brings its gauges up to date.
    pub fn stats(&self) -> PartitionStats {
        let stats = self.inner.shared.state.read().stats();
        stats.export(self.inner.shared.partition, &self.inner.shared.metrics);
        stats
    }

    /// Resolves with the first failure when the partition can no longer apply
    /// its log (the process should exit and recover).
    pub async fn failed(&self) -> HeadError {
        let mut failure = self.inner.shared.failure.subscribe();
        // The sender lives as long as `self`.
        let _ = failure.wait_for(Option::is_some).await;
        self.inner.shared.stopped()
    }
}

impl Inner {
    /// Appends an entry and waits until it is durable and applied.
    pub(crate) async fn propose(&self, kind: EntryKind, payload: Bytes) -> Result<Applied> {
        let (shared, log) = (Arc::clone(&self.shared), Arc::clone(&self.log));
        // A caller that goes away must not leave an entry that nobody awaits.
        let task = tokio::spawn(async move {
            shared.waiters.begin();
            match log.append(kind, payload).await {
                Ok(position) => {
                    let applied = shared.waiters.register(position.index);
                    applied.await.map_err(|_| shared.stopped())
                }
                Err(error) => {
                    shared.waiters.abandon();
                    Err(error.into())
                }
            }
        });
        task.await.map_err(|_| self.shared.stopped())?
    }

    fn may_cut_again(&self, last_ms: i64, now_ms: i64) -> bool {
        now_ms >= last_ms.saturating_add(millis(self.config.late_cut_interval))
    }

    async fn seal(&self, short: bool) -> Result<()> {
        let _one = self.sealing.lock().await;
        let started = self.clock.monotonic();
        let now = self.clock.now_ms();
        let release = {
            let mut state = self.shared.state.write();
            let sealer = self.sealer.lock();
            let in_files = |end| sealer.chunks.values().any(|f| f.holds(end));
            state.windows.prune(now, millis(self.config.late_cut_interval), in_files);
            let hold = if short { 0 } else { millis(self.config.hold) };
            let release = state.windows.releasable(now, hold);
            (!release.is_empty() || state.applied != state.sealed).then_some(release)
        };
        let Some(release) = release else {
            // Readers may have let go of files meanwhile.
            return self.sweep().await;
        };
        let entry = SealEntry { at_ms: now, release };
        let Applied::Seal(mut job) = self.propose(EntryKind::Seal, entry.encode()).await? else {
            return Err(self.shared.stopped());
        };
        job.short = short;
        let (sealer, shared) = (Arc::clone(&self.sealer), Arc::clone(&self.shared));
        let write = move || sealer.lock().write(*job, &shared.state);
        let Written { file, placements, settled, bytes } =
            blocking(self.shared.partition, write).await??;
        let (index, (done, placed)) = (settled.index, oneshot::channel());
        let file = file.map(|(place, file)| Place::File(place, file));
        let series = placements.into_iter().map(|(id, placement)| Place::Series(id, placement));
        let done = Place::Done(settled, done);
        for place in file.into_iter().chain(series).chain([done]) {
            self.places.send(place).map_err(|_| self.shared.stopped())?;
        }
        placed.await.map_err(|_| self.shared.stopped())?;
        // The state held the files that were replaced until now.
        self.sweep().await?;
        failpoint!("seal.before-purge", |_| Err(HeadError::Stopped {
            partition: self.shared.partition,
            reason: "failpoint seal.before-purge".to_owned(),
        }));
        self.log.purge(index).await?;
        let metrics = &self.shared.metrics;
        metrics.seals.inc();
        metrics.sealed_bytes.inc_by(bytes);
        let took = self.clock.monotonic().saturating_duration_since(started);
        metrics.seal_seconds.observe(took.as_secs_f64());
        self.shared.state.read().stats().export(self.shared.partition, metrics);
        Ok(())
    }

    /// Removes replaced files that nobody holds any more.
    async fn sweep(&self) -> Result<()> {
        let sealer = Arc::clone(&self.sealer);
        blocking(self.shared.partition, move || sealer.lock().sweep()).await
    }
}

/// A partition's fixed share of the spread, in milliseconds (Fibonacci hashing).
pub(crate) fn cut_share(config: &HeadConfig) -> i64 {
    let hash = u64::from(config.partition).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    i64::try_from(hash).unwrap_or(0) % millis(config.cut_spread).max(1)
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Runs file work on a thread that may block.
async fn blocking<T: Send + 'static>(
    partition: u32,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    varve_runtime::spawn_blocking(work).await.map_err(|error| HeadError::Stopped {
        partition,
        reason: format!("file work did not finish: {error}"),
    })
}
