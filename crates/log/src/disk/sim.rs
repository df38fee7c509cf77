//! A seeded model of a disk, for tests that crash.
//!
//! What was not synced may be lost, torn (at any byte) or reach the platter in
//! another order; names not followed by `sync_dir` may come and go; a failed
//! sync drops what it should have written for good, as Linux does; the disk
//! can fill up. Equal seeds and equal calls give equal outcomes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{Disk, DiskFile, Space};

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process: the disk keeps what was written, synced or not.
    Process,
    /// The machine: unsynced bytes and names are dropped, torn, reordered.
    Power,
}

/// A disk in memory that forgets like a real one. Clones share it and crash
/// together; [`SimDisk::reboot`] gives what the next process sees.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    epoch: u64,
}

struct State {
    random: SplitMix,
    epoch: u64,
    capacity: u64,
    syncs: u64,
    fail_sync_at: Option<u64>,
    changes: u64,
    crash_at: Option<(u64, Crash)>,
    next_inode: u64,
    inodes: HashMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    dirs: std::collections::BTreeSet<PathBuf>,
    name_changes: Vec<NameChange>,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Vigna's splitmix64: small, and good enough to choose what is lost.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes: new } => {
                let end = offset + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(new);
            }
            Self::Len(len) => bytes.resize(*len, 0),
        }
    }
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Link(path, _) | Self::Remove(path) | Self::Rename(_, path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Lets some pieces of what is pending reach the platter, in any order.
    fn lose_some(&mut self, random: &mut SplitMix) {
        let mut pieces = Vec::new();
        for change in self.pending.drain(..) {
            match change {
                Change::Write { mut offset, bytes } => {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let (piece, next) = rest.split_at(1 + random.below(rest.len()));
                        pieces.push(Change::Write { offset, bytes: piece.to_vec() });
                        offset += piece.len();
                        rest = next;
                    }
                }
                len @ Change::Len(_) => pieces.push(len),
            }
        }
        for last in (1..pieces.len()).rev() {
            pieces.swap(last, random.below(last + 1));
        }
        for piece in pieces {
            if random.coin() {
                piece.apply(&mut self.durable);
            }
        }
    }
}

impl State {
    fn check(&self, epoch: u64) -> io::Result<()> {
        if self.epoch != epoch {
            return Err(io::Error::other("the process that uses this disk has crashed"));
        }
        Ok(())
    }

    /// Counts a change, and crashes if its turn has come.
    fn passed(&mut self) -> io::Result<()> {
        self.changes += 1;
        match self.crash_at {
            Some((at, crash)) if at == self.changes => {
                self.crash(crash);
                Err(io::Error::other("simulated crash"))
            }
            _ => Ok(()),
        }
    }

    fn crash(&mut self, crash: Crash) {
        self.epoch += 1;
        self.fail_sync_at = None;
        self.crash_at = None;
        if crash == Crash::Process {
            return;
        }
        for change in std::mem::take(&mut self.name_changes) {
            if self.random.coin() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let mut numbers: Vec<u64> = self.inodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(inode) = self.inodes.get_mut(&number) {
                inode.lose_some(&mut self.random);
                inode.live = inode.durable.clone();
            }
        }
        self.drop_unnamed();
    }

    fn used(&self) -> u64 {
        self.inodes.values().map(|inode| inode.live.len() as u64).sum()
    }

    fn check_room(&self, now: usize, then: usize) -> io::Result<()> {
        let grows = then.saturating_sub(now) as u64;
        if grows > 0 && self.used() + grows > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
        self.drop_unnamed();
    }

    fn drop_unnamed(&mut self) {
        let Self { inodes, names, durable_names, name_changes, .. } = self;
        let linked = |inode: u64| {
            name_changes.iter().any(|c| matches!(c, NameChange::Link(_, i) if *i == inode))
        };
        inodes.retain(|inode, _| {
            names.values().chain(durable_names.values()).any(|i| i == inode) || linked(*inode)
        });
    }
}

impl SimDisk {
    /// An empty disk with unlimited room.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: SplitMix(seed),
            epoch: 0,
            capacity: u64::MAX,
            syncs: 0,
            fail_sync_at: None,
            changes: 0,
            crash_at: None,
            next_inode: 0,
            inodes: HashMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            dirs: std::collections::BTreeSet::new(),
            name_changes: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), epoch: 0 }
    }

    /// Stops everything that has files open (their calls fail from here on)
    /// and, if the power fails, loses what was not synced.
    pub fn crash(&self, crash: Crash) {
        self.state.lock().crash(crash);
    }

    /// Crashes in the middle of the `n`th change from now (1 = the next): a
    /// write or a change of a name has happened but is not synced, a sync has
    /// not happened.
    pub fn crash_at(&self, n: u64, crash: Crash) {
        let mut state = self.state.lock();
        state.crash_at = Some((state.changes + n, crash));
    }

    /// The disk as it is after the last crash, for the next process.
    pub fn reboot(&self) -> Self {
        let mut state = self.state.lock();
        state.crash_at = None;
        Self { state: Arc::clone(&self.state), epoch: state.epoch }
    }

    /// Sets the size of the disk in bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Makes the `n`th file sync from now fail (1 = the next).
    pub fn fail_sync(&self, n: u64) {
        let mut state = self.state.lock();
        state.fail_sync_at = Some(state.syncs + n);
    }

    /// File syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Changes one byte of a file behind everybody's back, as bad media does.
    pub fn flip(&self, path: &Path, offset: usize) -> bool {
        let mut state = self.state.lock();
        let Some(inode) = state.names.get(path).copied() else { return false };
        let Some(inode) = state.inodes.get_mut(&inode) else { return false };
        if offset >= inode.live.len() {
            return false;
        }
        inode.sync();
        inode.live[offset] ^= 0x55;
        inode.durable = inode.live.clone();
        true
    }

    fn handle(&self, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { state: Arc::clone(&self.state), inode, epoch: self.epoch })
    }

    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        state.check(self.epoch)?;
        Ok(state)
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock()?;
        for dir in dir.ancestors() {
            state.dirs.insert(dir.to_owned());
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock()?;
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.next_inode += 1;
        let inode = state.next_inode;
        state.inodes.insert(inode, Inode::default());
        state.change_name(NameChange::Link(path.to_owned(), inode));
        state.passed()?;
        drop(state);
        Ok(self.handle(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock()?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.handle(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        state.passed()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_owned()));
        state.passed()
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock()?;
        let below: Vec<PathBuf> =
            state.names.keys().filter(|path| path.starts_with(dir)).cloned().collect();
        for path in below {
            state.change_name(NameChange::Remove(path));
        }
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut names: Vec<String> = state
            .names
            .keys()
            .chain(&state.dirs)
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut guard = self.lock()?;
        let state = &mut *guard;
        state.passed()?;
        let (synced, rest): (Vec<_>, Vec<_>) =
            state.name_changes.drain(..).partition(|change| change.dir() == Some(dir));
        state.name_changes = rest;
        for change in synced {
            change.apply(&mut state.durable_names);
        }
        state.drop_unnamed();
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.lock()?;
        Ok(Space { total: state.capacity, free: state.capacity.saturating_sub(state.used()) })
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    epoch: u64,
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock();
        state.check(self.epoch)?;
        f(&mut state)
    }

    fn grow(&self, len: usize, change: Change) -> io::Result<()> {
        self.with(|state| {
            let now = state.inodes.get(&self.inode).map_or(0, |inode| inode.live.len());
            state.check_room(now, len)?;
            if let Some(inode) = state.inodes.get_mut(&self.inode) {
                inode.change(change);
            }
            state.passed()
        })
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|s| Ok(s.inodes.get(&self.inode).map_or(0, |inode| inode.live.len() as u64)))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|state| {
            let Some(inode) = state.inodes.get(&self.inode) else { return Ok(0) };
            let offset = usize::try_from(offset).map_err(io::Error::other)?;
            let rest = inode.live.get(offset..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.grow(offset + bytes.len(), Change::Write { offset, bytes })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            state.passed()?;
            state.syncs += 1;
            let fails = state.fail_sync_at == Some(state.syncs);
            let Some(inode) = state.inodes.get_mut(&self.inode) else { return Ok(()) };
            if fails {
                inode.lose_some(&mut state.random);
                return Err(io::Error::other("simulated sync failure"));
            }
            inode.sync();
            Ok(())
        })
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if self.len()? >= len as u64 {
            return Ok(());
        }
        self.grow(len, Change::Len(len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.grow(len, Change::Len(len))
    }
}
