//! Files that are becoming objects.
//!
//! They lie in one folder, under names that no object can have, and are
//! locked by the process that writes them: one that is not locked belongs to
//! nobody and goes when a process opens the folder.

use std::io::{self, IoSlice};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::{Error, Result};
use varve_log::{Disk, DiskFile};
use varve_runtime::random_bytes;

use super::folder::{Folder, failed, generic};

/// The folder of scratch files. Object paths encode `~`, so none begins so.
pub(super) const SCRATCH: &str = "~scratch";
/// How often a missing folder is created for one object: another process may
/// remove it, when it is empty, as often.
const MAX_TRIES: u32 = 16;

/// A scratch file; removed when it is dropped.
pub(super) struct Scratch {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Open, and so locked, until it is removed or has its name.
    file: Option<Arc<dyn DiskFile>>,
}

impl Scratch {
    fn path(folder: &Folder) -> PathBuf {
        let name = u128::from_le_bytes(random_bytes());
        folder.root().join(SCRATCH).join(format!("{name:032x}"))
    }

    /// A new empty one.
    pub(super) fn create(folder: &Folder) -> Result<Self> {
        let path = Self::path(folder);
        let disk = Arc::clone(folder.disk());
        let file = disk.create(&path).map_err(|error| not_there(&path, error))?;
        let scratch = Self { disk, path, file: Some(Arc::clone(&file)) };
        if !file.try_lock().map_err(generic)? {
            return Err(generic("another process took the scratch file for one that was left"));
        }
        Ok(scratch)
    }

    /// Another name of an object.
    pub(super) fn link(folder: &Folder, source: &FilePath) -> Result<Self> {
        let path = Self::path(folder);
        let disk = Arc::clone(folder.disk());
        disk.link(source, &path).map_err(|error| failed(source, error))?;
        Ok(Self { disk, path, file: None })
    }

    /// Writes `parts`, one after the other, at `offset`.
    pub(super) fn write(&self, offset: u64, parts: &[&[u8]]) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_at(offset, &parts).map_err(generic)
    }

    /// Makes its bytes an object: durable, name and all, when it returns.
    ///
    /// Errors: `AlreadyExists` if there is one and it is not to be replaced;
    /// that one is durable then. After any other the outcome is unknown.
    pub(super) fn publish(self, folder: &Folder, target: &FilePath, replace: bool) -> Result<()> {
        if let Some(file) = &self.file {
            file.sync_data().map_err(generic)?;
        }
        let mut tries = 0;
        let named = loop {
            tries += 1;
            let named = if replace {
                self.disk.rename(&self.path, target)
            } else {
                self.disk.link(&self.path, target)
            };
            match named {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => {
                    // The folder is missing, or else somebody took the scratch
                    // file for one that was left.
                    self.disk.stat(&self.path).map_err(|error| not_there(&self.path, error))?;
                    folder.make_dir_for(target).map_err(|error| not_there(target, error))?;
                }
                named => break named,
            }
        };
        match &named {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return named.map_err(|error| not_there(target, error)),
        }
        folder.settle(target).map_err(|error| not_there(target, error))?;
        named.map_err(|error| failed(target, error))
    }
}

/// An error of writing. `NotFound` is not what it says to a reader.
fn not_there(path: &FilePath, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => generic(format!("{}: {error}", path.display())),
        _ => failed(path, error),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, path = %self.path.display(), "scratch file stays");
            }
            _ => {}
        }
    }
}
