//! Seeded crashes: random appends and purges of several partitions, a disk
//! that fills up, a crash in the middle of any change to it, recovery, and again.
//!
//! What was acknowledged must be there with its bytes and in order; what was
//! not may be there, but only as it was sent; and no start may refuse. With
//! any one sync taken out the same run must find loss, or it proves nothing.
//!
//! `VARVE_SIM_CRASHES` sets how many crashes there are, `VARVE_SIM_SEED` runs
//! one seed again: equal seeds give equal runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_join::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{append, dir, read, small};
use crate::{Crash, LogError, PartitionLog, SegmentLog, SegmentLogConfig, SimDisk, Unsynced};

/// Waiting for several futures without a dependency.
mod futures_join {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Poll;

    pub(super) async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
        let mut futures: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
        let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
        std::future::poll_fn(move |cx| {
            for (future, result) in futures.iter_mut().zip(&mut results) {
                if result.is_none()
                    && let Poll::Ready(value) = future.as_mut().poll(cx)
                {
                    *result = Some(value);
                }
            }
            if results.iter().any(Option::is_none) {
                return Poll::Pending;
            }
            Poll::Ready(results.drain(..).flatten().collect())
        })
        .await
    }
}

/// What one partition was told and promised.
#[derive(Default)]
struct Model {
    /// Entries that must be there, by index.
    promised: BTreeMap<u64, Vec<u8>>,
    /// Payloads sent since the last start that nobody acknowledged.
    open: Vec<Vec<u8>>,
    /// The highest index that a purge was asked for.
    purged: u64,
}

impl Model {
    async fn check(&mut self, log: &dyn PartitionLog) -> Result<(), String> {
        let from = self.purged + 1;
        let entries = read(log, from).await.map_err(|e| format!("cannot read: {e}"))?;
        let mut next = from;
        for entry in &entries {
            if entry.index != next {
                return Err(format!("entry {} where {next} was expected", entry.index));
            }
            next += 1;
            let bytes = entry.payload.to_vec();
            match self.promised.get(&entry.index) {
                Some(promised) if *promised == bytes => {}
                Some(_) => return Err(format!("entry {} has other bytes", entry.index)),
                None => {
                    let Some(sent) = self.open.iter().position(|open| *open == bytes) else {
                        return Err(format!("entry {} was never sent", entry.index));
                    };
                    self.open.remove(sent);
                    self.promised.insert(entry.index, bytes);
                }
            }
        }
        let last = self.promised.last_key_value().map_or(0, |(index, _)| *index);
        if next <= last {
            return Err(format!("entries {next} to {last} are lost"));
        }
        self.open.clear();
        Ok(())
    }
}

/// What the log is doing.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicU8>);

const OPENING: u8 = 1;
const RUNNING: u8 = 2;
const CLOSING: u8 = 3;

impl Phase {
    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// Lives of a log on one disk.
const LIVES: u64 = 8;

/// Runs one seed; the error says what was lost.
async fn run(seed: u64, disk: SimDisk, phase: &Phase) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut models: BTreeMap<u32, Model> = (0..3).map(|id| (id, Model::default())).collect();
    let mut disk = disk;
    let config = SegmentLogConfig { stepped: true, ..small() };
    for life in 0..LIVES {
        let crash = if random.random_bool(0.7) { Crash::Power } else { Crash::Process };
        disk = disk.reboot();
        if random.random_bool(0.8) {
            disk.crash_at(random.random_range(1..120), crash);
        }
        if random.random_bool(0.1) {
            disk.fail_sync(random.random_range(1..40));
        }
        let full = random.random_bool(0.3);
        let segments = if full { random.random_range(1..6) } else { 1 << 20 };
        disk.set_capacity(segments * config.segment_bytes);
        phase.set(OPENING);
        match SegmentLog::open(Arc::new(disk.clone()), dir(), config.clone()) {
            Ok(log) => {
                phase.set(RUNNING);
                live(&log, &mut models, &mut random)
                    .await
                    .map_err(|e| format!("seed {seed}, life {life}: {e}"))?;
                phase.set(CLOSING);
                if random.random_bool(0.5) {
                    log.close();
                }
            }
            // A sync that fails is the disk's refusal, not ours.
            Err(error) if error.to_string().contains("simulated sync") => {}
            Err(_) if disk.has_crashed() => {}
            Err(error) => {
                return Err(format!("seed {seed}, life {life}: refused to start: {error}"));
            }
        }
        disk.crash(crash);
    }
    Ok(())
}

/// One life: check what is there, then append and purge until the disk stops.
async fn live(
    log: &Arc<SegmentLog>,
    models: &mut BTreeMap<u32, Model>,
    random: &mut StdRng,
) -> Result<(), String> {
    let logs: BTreeMap<u32, _> = models.keys().map(|id| (*id, log.partition(*id))).collect();
    for (id, model) in models.iter_mut() {
        match model.check(&*logs[id]).await {
            // A crash while reading says nothing.
            Err(e) if e.contains("has crashed") => return Ok(()),
            other => other.map_err(|e| format!("partition {id}: {e}"))?,
        }
    }
    for _ in 0..random.random_range(0..60) {
        if random.random_bool(0.1) {
            let id = random.random_range(0..3);
            let model = models.get_mut(&id).expect("it was made above");
            let last = model.promised.last_key_value().map_or(0, |(index, _)| *index);
            let index = random.random_range(model.purged..=last.max(model.purged));
            model.purged = index;
            match logs[&id].purge(index).await {
                Ok(()) => {}
                Err(LogError::Full { .. }) => continue,
                Err(_) => return Ok(()),
            }
            model.promised = model.promised.split_off(&(index + 1));
            continue;
        }
        let appends: Vec<(u32, Vec<u8>)> = (0..random.random_range(1..5))
            .map(|_| {
                let len = random.random_range(0..6000);
                let mut bytes = random.random::<u64>().to_le_bytes().to_vec();
                bytes.extend((0..len).map(|_| random.random::<u8>()));
                (random.random_range(0..3), bytes)
            })
            .collect();
        let waiting = appends.iter().map(|(id, bytes)| append(&*logs[id], bytes)).collect();
        let results = join_all(waiting).await;
        let mut stop = false;
        for ((id, bytes), result) in appends.into_iter().zip(results) {
            let model = models.get_mut(&id).expect("it was made above");
            match result {
                Ok(index) if model.promised.contains_key(&index) => {
                    return Err(format!("partition {id}: entry {index} was given out twice"));
                }
                Ok(index) => {
                    model.promised.insert(index, bytes);
                }
                // Refused before anything was written: it never appears.
                Err(LogError::Full { .. }) => {}
                Err(_) => {
                    model.open.push(bytes);
                    stop = true;
                }
            }
        }
        if stop {
            return Ok(());
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how a run is repeated, or made longer")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn crashes_lose_nothing_that_was_acknowledged() {
    if let Some(seed) = setting("VARVE_SIM_SEED") {
        assert_eq!(run(seed, SimDisk::new(seed), &Phase::default()).await, Ok(()));
        return;
    }
    let crashes = setting("VARVE_SIM_CRASHES").unwrap_or(3000);
    for seed in 0..crashes.div_ceil(LIVES) {
        let result = run(seed, SimDisk::new(seed), &Phase::default()).await;
        assert_eq!(result, Ok(()), "VARVE_SIM_SEED={seed}");
    }
}

#[tokio::test]
async fn equal_seeds_give_equal_runs() {
    for seed in 0..10 {
        let disks = [SimDisk::new(seed), SimDisk::new(seed)];
        for disk in &disks {
            run(seed, disk.clone(), &Phase::default()).await.unwrap();
        }
        assert_eq!(disks[0].changes(), disks[1].changes(), "seed {seed}");
    }
}

/// With every sync of one place taken out, some seed below `within` finds it.
async fn check(within: u64, place: fn(&Unsynced<'_>, &Phase) -> bool) {
    for seed in 0..within {
        let (disk, phase) = (SimDisk::new(seed), Phase::default());
        let during = phase.clone();
        disk.ignore_syncs(move |sync| place(sync, &during));
        if let Err(found) = run(seed, disk, &phase).await {
            println!("found: {found}");
            return;
        }
    }
    panic!("no seed below {within} finds that this sync is missing");
}

/// `writer.rs` `sync_active`: the batch.
#[tokio::test]
async fn the_sync_of_a_batch_is_needed() {
    check(40, |sync, phase| !sync.is_dir && phase.is(RUNNING) && sync.last_offset > Some(0)).await;
}

/// `writer.rs` `rotate`: the header of a segment, before its first batch.
#[tokio::test]
async fn the_sync_of_a_header_is_needed() {
    check(2000, |sync, phase| !sync.is_dir && phase.is(RUNNING) && sync.last_offset == Some(0))
        .await;
}

/// `writer.rs` `rotate`: the name of a new segment.
#[tokio::test]
async fn the_sync_of_a_new_name_is_needed() {
    check(40, |sync, phase| sync.is_dir && phase.is(RUNNING)).await;
}

/// `recover.rs` `make_durable`: the last batch of a process that is gone.
#[tokio::test]
async fn the_sync_of_what_was_recovered_is_needed() {
    check(2000, |sync, phase| !sync.is_dir && phase.is(OPENING)).await;
}

/// `recover.rs` `recover`: the names that a process left that is gone.
#[tokio::test]
async fn the_sync_of_recovered_names_is_needed() {
    check(2000, |sync, phase| sync.is_dir && phase.is(OPENING) && sync.path == dir()).await;
}

/// `Disk::create_dir_all`: the folder itself.
#[tokio::test]
async fn the_sync_of_the_folder_above_is_needed() {
    check(40, |sync, _| sync.is_dir && sync.path != dir()).await;
}
