//! A seeded model of a disk, for tests that crash.
//!
//! What was not synced may be lost, torn (at any byte) or reach the platter in
//! another order; names (of folders too) not followed by `sync_dir` may come
//! and go; a failed sync of a file drops what it should have written for good,
//! as Linux does; the disk can fill up. Equal seeds and equal calls give equal
//! outcomes.

mod history;
mod state;
mod tree;

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{Disk, DiskFile, Space, Stat};
use state::{Change, State};

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process: the disk keeps what was written, synced or not.
    Process,
    /// The machine: unsynced bytes and names are dropped, torn, reordered.
    Power,
}

/// A sync that is asked for, as [`SimDisk::ignore_syncs`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Unsynced<'a> {
    /// The folder, or the file under the name by which it was opened.
    pub path: &'a Path,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Of a file: where the last write began that is not synced.
    pub last_offset: Option<u64>,
    /// Of a folder: the last name in it that was changed and is not synced.
    pub last_name: Option<&'a OsStr>,
}

type Ignored = dyn Fn(&Unsynced<'_>) -> bool + Send + Sync;
type Hook = dyn Fn() + Send + Sync;

/// A disk in memory that forgets like a real one. Clones share it and crash
/// together; [`SimDisk::reboot`] gives what the next process sees.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
    epoch: u64,
}

struct Shared {
    state: Mutex<State>,
    ignored: Mutex<Option<Arc<Ignored>>>,
    hook: Mutex<Option<Arc<Hook>>>,
}

impl Shared {
    fn before_change(&self) {
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            hook();
        }
    }

    fn ignores(&self, sync: &Unsynced<'_>) -> bool {
        let ignored = self.ignored.lock().clone();
        ignored.is_some_and(|ignored| ignored(sync))
    }
}

impl SimDisk {
    /// An empty disk with unlimited room.
    pub fn new(seed: u64) -> Self {
        let state = Mutex::new(State::new(seed));
        let shared = Shared { state, ignored: Mutex::default(), hook: Mutex::default() };
        Self { shared: Arc::new(shared), epoch: 0 }
    }

    /// Stops everything that has files open (their calls fail from here on)
    /// and, if the power fails, loses what was not synced.
    pub fn crash(&self, crash: Crash) {
        self.shared.state.lock().crash(crash);
    }

    /// Crashes in the middle of the `n`th change from now (1 = the next): a
    /// write or a change of a name has happened but is not synced, a sync has
    /// not happened.
    pub fn crash_at(&self, n: u64, crash: Crash) {
        self.shared.state.lock().crash_after(n, crash);
    }

    /// Whether a crash has stopped this process' use of the disk.
    pub fn has_crashed(&self) -> bool {
        self.shared.state.lock().epoch != self.epoch
    }

    /// The disk as it is after the last crash, for the next process.
    pub fn reboot(&self) -> Self {
        let mut state = self.shared.state.lock();
        state.crash_at = None;
        Self { shared: Arc::clone(&self.shared), epoch: state.epoch }
    }

    /// Sets the size of the disk in bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.shared.state.lock().capacity = bytes;
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.shared.state.lock().used()
    }

    /// Makes the `n`th sync from now fail (1 = the next). What a file's sync
    /// should have written is dropped or not, for good; a folder's can be done
    /// again.
    pub fn fail_sync(&self, n: u64) {
        let mut state = self.shared.state.lock();
        state.fail_sync_at = Some(state.syncs + n);
    }

    /// Syncs so far, of files and folders.
    pub fn syncs(&self) -> u64 {
        self.shared.state.lock().syncs
    }

    /// Changes so far: writes, changes of names, syncs.
    pub fn changes(&self) -> u64 {
        self.shared.state.lock().changes
    }

    /// A digest of all changes and crashes so far, and of what they left: equal
    /// for equal runs. Folders' names are not in it.
    pub fn history(&self) -> u64 {
        self.shared.state.lock().history()
    }

    /// Makes a liar of the disk: syncs for which `ignored` holds report
    /// success and do nothing. For tests that must find the loss.
    pub fn ignore_syncs(&self, ignored: impl Fn(&Unsynced<'_>) -> bool + Send + Sync + 'static) {
        *self.shared.ignored.lock() = Some(Arc::new(ignored));
    }

    /// Calls `hook` before every change, on the thread that makes it.
    pub fn before_change(&self, hook: Option<Arc<dyn Fn() + Send + Sync>>) {
        *self.shared.hook.lock() = hook;
    }

    /// Changes one byte of a file behind everybody's back, as bad media does.
    pub fn flip(&self, path: &Path, offset: usize) -> bool {
        self.shared.state.lock().flip(path, offset)
    }

    fn handle(&self, state: &mut State, inode: u64, path: &Path) -> Arc<dyn DiskFile> {
        let opening = state.opened(inode);
        let (shared, path) = (Arc::clone(&self.shared), path.into());
        Arc::new(SimFile { shared, inode, opening, path, epoch: self.epoch })
    }

    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.shared.state.lock();
        state.check(self.epoch)?;
        Ok(state)
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        self.shared.before_change();
        self.lock()
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.create_dir(dir)?;
        state.passed()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.change()?;
        let inode = state.create(path)?;
        state.passed()?;
        Ok(self.handle(&mut state, inode, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock()?;
        let inode = state.file_at(path)?;
        Ok(self.handle(&mut state, inode, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.rename(from, to)?;
        state.passed()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.link(from, to)?;
        state.passed()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.remove(path)?;
        state.passed()
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.remove_dir(dir)?;
        state.passed()
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let names = match self.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for name in names {
            let path = dir.join(name);
            if self.stat(&path)?.is_dir {
                self.remove_dir_all(&path)?;
            } else {
                self.remove(&path)?;
            }
        }
        self.remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.lock()?.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.lock()?.stat(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inode = state.dir_at(dir)?;
        state.passed()?;
        if state.sync_fails(inode) {
            return Err(io::Error::other("simulated sync failure"));
        }
        let last_name = state.last_name(inode);
        let last_name = last_name.as_deref();
        if !self.shared.ignores(&Unsynced { path: dir, is_dir: true, last_offset: None, last_name })
        {
            state.sync_dir(inode);
        }
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.lock()?;
        let total = state.capacity;
        // Unlimited room is not counted.
        let used = if total == u64::MAX { 0 } else { state.used() };
        Ok(Space { total, free: total.saturating_sub(used) })
    }
}

struct SimFile {
    shared: Arc<Shared>,
    inode: u64,
    opening: u64,
    path: Box<Path>,
    epoch: u64,
}

impl SimFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.shared.state.lock();
        state.check(self.epoch)?;
        Ok(state)
    }

    fn grow(&self, len: usize, change: Change) -> io::Result<()> {
        self.shared.before_change();
        let mut state = self.lock()?;
        state.write(self.inode, len, change)?;
        state.passed()
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed(self.inode, self.opening);
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock()?.live(self.inode).len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.lock()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = state.live(self.inode).get(offset..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.grow(offset + bytes.len(), Change::Write { offset, bytes })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.shared.before_change();
        let mut state = self.lock()?;
        state.passed()?;
        let fails = state.sync_fails(self.inode);
        let last_offset = state.last_unsynced(self.inode);
        let sync = Unsynced { path: &self.path, is_dir: false, last_offset, last_name: None };
        if fails {
            state.lose_some(self.inode);
            return Err(io::Error::other("simulated sync failure"));
        }
        if !self.shared.ignores(&sync) {
            state.sync_file(self.inode);
        }
        Ok(())
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

    fn try_lock(&self) -> io::Result<bool> {
        Ok(self.lock()?.try_lock(self.inode, self.opening))
    }
}
