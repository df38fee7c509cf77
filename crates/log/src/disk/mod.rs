//! The only door to files: what the log, seals and local state stand on.
//!
//! [`RealDisk`] is the operating system; [`SimDisk`] is a seeded model of it
//! that loses, on a crash, whatever was not synced. All calls block.

mod real;
mod sim;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use sim::{Crash, SimDisk};

/// Room on the file system that holds a folder, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What this process may still use.
    pub free: u64,
}

/// Folders and names. A change of a name (create, rename, remove) survives a
/// crash only after [`Disk::sync_dir`] of its folder.
pub trait Disk: Send + Sync + 'static {
    /// Creates a folder and those above it; durable when it returns.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Creates a new empty file; `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what has that name, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it; no error if there is none.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Names of the files and folders in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

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

    /// Returns when bytes and length are on the disk.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves room up to `len` and grows the file to it, so that writes
    /// below it do not run out of space.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Whether an error says that the disk (or the quota) is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads a whole file of at most `limit` bytes.
///
/// Errors: `InvalidData` if it is larger.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.len()?;
    if len > limit {
        let message = format!("{} has {len} bytes, more than {limit}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a file's content so that after a crash it holds either the old or
/// the new bytes. Durable when it returns.
pub fn write_file_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "path has no parent or name");
    let dir = path.parent().ok_or_else(invalid)?;
    let name = path.file_name().ok_or_else(invalid)?;
    let mut scratch = name.to_os_string();
    scratch.push(".tmp");
    let scratch = dir.join(scratch);
    match disk.remove(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&scratch)?;
    file.write_at(0, &[IoSlice::new(bytes)])?;
    file.sync_data()?;
    disk.rename(&scratch, path)?;
    disk.sync_dir(dir)
}
