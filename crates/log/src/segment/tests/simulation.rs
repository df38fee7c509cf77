//! Seeded crashes: random appends and purges of several partitions, a disk
//! that fills up, a crash in the middle of any change to it, recovery, and again.
//!
//! What was acknowledged must be there with its bytes and in order; what was
//! not may be there, but only as it was sent; and no start may refuse. The
//! same run over disks that ignore syncs must find loss, or it proves nothing.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use futures_join::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{append, dir, read, small};
use crate::{Crash, Disk, DiskFile, LogError, PartitionLog, SegmentLog, SimDisk, Space};

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

/// A disk under test and its simulation.
trait Simulated: Disk + Clone {
    fn sim(&self) -> &SimDisk;
    fn reboot(&self) -> Self;
}

impl Simulated for SimDisk {
    fn sim(&self) -> &SimDisk {
        self
    }
    fn reboot(&self) -> Self {
        Self::reboot(self)
    }
}

/// Lives of a log on one disk; the error says what was lost.
async fn run(disk: impl Simulated, seed: u64, lives: usize) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut models: BTreeMap<u32, Model> = (0..3).map(|id| (id, Model::default())).collect();
    let mut disk = disk;
    for life in 0..lives {
        let crash = if random.random_bool(0.7) { Crash::Power } else { Crash::Process };
        disk = disk.reboot();
        if random.random_bool(0.8) {
            disk.sim().crash_at(random.random_range(1..120), crash);
        }
        if random.random_bool(0.1) {
            disk.sim().fail_sync(random.random_range(1..40));
        }
        let full = random.random_bool(0.3);
        let segments = if full { random.random_range(1..6) } else { 1 << 20 };
        disk.sim().set_capacity(segments * small().segment_bytes);
        match SegmentLog::open(Arc::new(disk.clone()), dir(), small()) {
            Ok(log) => live(&log, &mut models, &mut random)
                .await
                .map_err(|e| format!("seed {seed}, life {life}: {e}"))?,
            // A sync that fails is the disk's refusal, not ours.
            Err(error) if error.to_string().contains("simulated sync") => {}
            Err(error) if disk.list(dir()).is_ok() => {
                return Err(format!("seed {seed}, life {life}: refused to start: {error}"));
            }
            // The crash came while it was starting.
            Err(_) => {}
        }
        disk.sim().crash(crash);
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

#[tokio::test]
async fn crashes_lose_nothing_that_was_acknowledged() {
    // Beyond the first: seeds that have found defects.
    for seed in (0..60).chain([653, 825]) {
        let result = run(SimDisk::new(seed), seed, 8).await;
        assert_eq!(result, Ok(()));
    }
}

#[tokio::test]
async fn a_disk_that_ignores_file_syncs_is_found_out() {
    assert!(finds_loss(Ignores::FileSync).await);
}

#[tokio::test]
async fn a_disk_that_ignores_folder_syncs_is_found_out() {
    assert!(finds_loss(Ignores::DirSync).await);
}

async fn finds_loss(ignores: Ignores) -> bool {
    for seed in 0..40 {
        let disk = Careless { disk: SimDisk::new(seed), ignores };
        if run(disk, seed, 8).await.is_err() {
            return true;
        }
    }
    false
}

/// Which promise the disk breaks.
#[derive(Clone, Copy, PartialEq)]
enum Ignores {
    FileSync,
    DirSync,
}

#[derive(Clone)]
struct Careless {
    disk: SimDisk,
    ignores: Ignores,
}

impl Simulated for Careless {
    fn sim(&self) -> &SimDisk {
        &self.disk
    }
    fn reboot(&self) -> Self {
        Self { disk: self.disk.reboot(), ignores: self.ignores }
    }
}

impl Disk for Careless {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CarelessFile { file: self.disk.create(path)?, ignores: self.ignores }))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CarelessFile { file: self.disk.open(path)?, ignores: self.ignores }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.ignores == Ignores::DirSync {
            return Ok(());
        }
        self.disk.sync_dir(dir)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}

struct CarelessFile {
    file: Arc<dyn DiskFile>,
    ignores: Ignores,
}

impl DiskFile for CarelessFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.file.write_at(offset, parts)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.ignores == Ignores::FileSync {
            return Ok(());
        }
        self.file.sync_data()
    }
    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.file.preallocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
