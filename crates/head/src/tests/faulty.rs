//! A disk on which one step of a seal fails, while the log goes on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use varve_log::{Disk, DiskFile, SimDisk, Space, Stat};

/// Which step fails next.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<AtomicU8>);

/// The number of steps that can fail.
pub(super) const STEPS: u8 = 4;

impl Fault {
    /// Lets a step fail once: 1 the file of samples, 2 a scratch file, 3 the
    /// new name of the manifest, 4 the sync of that name. 0 = none.
    pub(super) fn set(&self, step: u8) {
        self.0.store(step, Ordering::SeqCst);
    }

    fn strikes(&self, step: u8) -> io::Result<()> {
        match self.0.compare_exchange(step, 0, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Err(io::Error::other(format!("fault in step {step}"))),
            Err(_) => Ok(()),
        }
    }
}

/// A simulated disk with a [`Fault`].
pub(super) struct Faulty {
    pub(super) disk: SimDisk,
    pub(super) fault: Fault,
}

fn ends(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|p| p.ends_with(end))
}

impl Disk for Faulty {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(path)?;
        if ends(path, ".chunks") {
            self.fault.strikes(1)?;
        } else if ends(path, ".tmp") {
            self.fault.strikes(2)?;
        }
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if ends(to, "/manifest") {
            self.fault.strikes(3)?;
        }
        self.disk.rename(from, to)?;
        if ends(to, "/manifest") && self.fault.0.load(Ordering::SeqCst) == 4 {
            self.fault.set(5);
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.disk.stat(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if ends(dir, "/head") {
            self.fault.strikes(5)?;
        }
        self.disk.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}
