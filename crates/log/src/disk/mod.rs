//! The only door to files: what the log, seals and a local bucket stand on.
//!
//! [`RealDisk`] is the operating system; [`SimDisk`] is a seeded model of it
//! that loses, on a crash, whatever was not synced. All calls block.

mod real;
mod sim;
mod whole;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use sim::{Crash, SimDisk, Unsynced};
pub use whole::{PreparedFile, prepare_file, read_file, write_file_atomic};

/// Room on the file system that holds a folder, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What this process may still use.
    pub free: u64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes in the file; of a folder, nothing that means anything.
    pub len: u64,
    /// When it was last written, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// Folders and names. A change of a name (create, link, rename, remove)
/// survives a crash only after [`Disk::sync_dir`] of its folder.
pub trait Disk: Send + Sync + 'static {
    /// Creates a folder in one that is there; `AlreadyExists` if the name is
    /// taken.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a folder and those above it; durable when it returns.
    ///
    /// Each is durable before the next is made in it, so of what a process
    /// left that crashed in here only the deepest may not be; it is made so.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut there = dir;
        loop {
            match self.stat(there) {
                Ok(stat) if stat.is_dir => break,
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => missing.push(there),
            }
            match there.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => there = parent,
                None => break,
            }
        }
        match self.sync_parent(there) {
            // In a folder that this process may not even read, it is not this
            // process that has made something.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
        for dir in missing.into_iter().rev() {
            match self.create_dir(dir) {
                // Another process was faster, and may not have synced yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
            self.sync_parent(dir)?;
        }
        Ok(())
    }

    /// Creates a new empty file; `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    /// Gives a file another name, replacing what has that name, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file one more name; `AlreadyExists` if that is taken. Of any
    /// number of callers, in any number of processes, one succeeds.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder; `DirectoryNotEmpty` if there is anything in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it; no error if there is none.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Names of the files and folders in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// What a name stands for; `NotFound` if for nothing.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the name of a folder or file durable. That of a root is.
    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => self.sync_dir(Path::new(".")),
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    /// Room on the file system that holds `dir`.
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// One open file. Bytes written survive a crash only after
/// [`DiskFile::sync_data`].
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send + Sync {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;

    /// Reads from `offset` into `buf`, as many bytes as there are; returns how
    /// many. Fewer than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `parts`, one after the other, at `offset`, growing the
    /// file where needed. After an error any part of it may be written.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Returns when bytes and length are on the disk. After an error nobody
    /// knows what is, and a second call may succeed without having written
    /// what the first one did not.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves room up to `len` and grows the file to it, so that writes
    /// below it do not run out of space.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes the file for this opening of it, until that is dropped or the
    /// process ends in whatever way; `false` when another has it.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Whether an error says that the disk (or the quota) is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
