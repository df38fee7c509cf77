//! The folder behind the store: paths, names that are durable, errors.
//!
//! A name that is seen may not be durable: the process that made it may have
//! crashed before it synced. So a folder is synced once before the first
//! object in it is read whole, and an object that is "there already" is made
//! durable before that is said.

use std::collections::HashSet;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use object_store::path::Path;
use object_store::{Error, ObjectMeta, Result};
use parking_lot::Mutex;
use varve_log::{Disk, DiskFile, Stat};

use super::scratch::{SCRATCH, Scratch};

/// Folders remembered as durable; beyond, all are forgotten and synced anew.
const MAX_SETTLED: usize = 4096;

pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Folders that were synced by this process, and those above them.
    settled: Mutex<HashSet<PathBuf>>,
}

impl Folder {
    pub(super) fn open(disk: Arc<dyn Disk>, root: &FilePath) -> io::Result<Self> {
        disk.create_dir_all(root)?;
        let scratch = root.join(SCRATCH);
        match disk.create_dir(&scratch) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for name in disk.list(&scratch)? {
            remove_left(&*disk, &scratch.join(name))?;
        }
        Ok(Self { disk, root: root.to_owned(), settled: Mutex::default() })
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn scratch(&self) -> Result<Scratch> {
        Scratch::create(self)
    }

    pub(super) fn scratch_of(&self, source: &FilePath) -> Result<Scratch> {
        self.settle_for(source)?;
        Scratch::link(self, source)
    }

    /// The folder that a prefix names.
    pub(super) fn dir(&self, prefix: &Path) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(prefix.parts().map(|part| part.as_ref().to_owned()));
        path
    }

    /// The file that an object is.
    pub(super) fn file(&self, location: &Path) -> Result<PathBuf> {
        let usable = location.parts().next().is_some_and(|first| first.as_ref() != SCRATCH);
        if usable {
            Ok(self.dir(location))
        } else {
            Err(generic(format!("no object is at {location:?}")))
        }
    }

    /// Makes the name of a file, and those of the folders that it is in,
    /// durable.
    pub(super) fn settle(&self, path: &FilePath) -> io::Result<()> {
        let Some(dir) = path.parent() else { return Ok(()) };
        if self.settle_dir(dir)? {
            return Ok(());
        }
        self.disk.sync_dir(dir).inspect_err(|_| self.forget(dir))
    }

    /// Makes sure that what a process that is gone left in the folder of a
    /// file is durable.
    pub(super) fn settle_for(&self, path: &FilePath) -> Result<()> {
        let Some(dir) = path.parent() else { return Ok(()) };
        match self.settle_dir(dir) {
            Ok(_) => Ok(()),
            // A folder that may be read but not opened for this belongs to
            // somebody else, who sees to it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Syncs a folder and those above it unless that was done before. Says
    /// whether it was done now.
    fn settle_dir(&self, dir: &FilePath) -> io::Result<bool> {
        if self.settled.lock().contains(dir) {
            return Ok(false);
        }
        if dir != self.root
            && let Some(parent) = dir.parent()
            && !self.settle_dir(parent)?
        {
            self.disk.sync_dir(parent).inspect_err(|_| self.forget(parent))?;
        }
        self.disk.sync_dir(dir)?;
        let mut settled = self.settled.lock();
        if settled.len() >= MAX_SETTLED {
            settled.clear();
        }
        settled.insert(dir.to_owned());
        Ok(true)
    }

    /// Creates the folder of a file.
    pub(super) fn make_dir_for(&self, path: &FilePath) -> io::Result<()> {
        let Some(dir) = path.parent() else { return Ok(()) };
        self.forget(dir);
        self.disk.create_dir_all(dir)
    }

    fn forget(&self, dir: &FilePath) {
        self.settled.lock().remove(dir);
    }

    /// Removes an object, and the folders that are empty then.
    pub(super) fn remove(&self, location: &Path) -> Result<()> {
        let path = self.file(location)?;
        self.disk.remove(&path).map_err(|error| failed(&path, error))?;
        let mut dir = path.parent();
        while let Some(empty) = dir.filter(|dir| *dir != self.root) {
            if self.disk.remove_dir(empty).is_err() {
                break;
            }
            self.forget(empty);
            dir = empty.parent();
        }
        Ok(())
    }

    pub(super) fn open_object(
        &self,
        path: &FilePath,
        location: Path,
    ) -> Result<(Arc<dyn DiskFile>, ObjectMeta)> {
        let stat = self.disk.stat(path).map_err(|error| failed(path, error))?;
        if stat.is_dir {
            return Err(failed(path, io::ErrorKind::NotFound.into()));
        }
        let file = self.disk.open_read(path).map_err(|error| failed(path, error))?;
        // It may have been replaced in between: the length is that of what
        // was opened.
        let size = file.len().map_err(|error| failed(path, error))?;
        Ok((file, meta(location, Stat { len: size, ..stat })))
    }
}

/// Removes a scratch file that no process works on.
fn remove_left(disk: &dyn Disk, path: &FilePath) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match disk.open(path).and_then(|file| Ok((file.try_lock()?, file))) {
        Ok((false, _)) => return Ok(()),
        Ok((true, _)) => {}
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    match disk.remove(path) {
        Err(error) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn meta(location: Path, stat: Stat) -> ObjectMeta {
    let modified = Duration::from_millis(u64::try_from(stat.modified_ms).unwrap_or(0));
    ObjectMeta {
        location,
        last_modified: (UNIX_EPOCH + modified).into(),
        size: stat.len,
        e_tag: None,
        version: None,
    }
}

/// An error of the disk as an object store's.
pub(super) fn failed(path: &FilePath, error: io::Error) -> Error {
    let kind = error.kind();
    let (path, source) = (path.display().to_string(), Box::new(error));
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound { path, source },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
        _ => Error::Generic { store: "folder", source },
    }
}

pub(super) fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "folder", source: error.into() }
}
