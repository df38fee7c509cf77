//! A small disk: a file system in memory with a size of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::parts;

/// A mounted tmpfs, unmounted when dropped.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one of `mib` MiB; `None` (loudly) where that is not allowed.
    pub fn mount(dir: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(dir).expect("make the mount point");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir)
            .output();
        if mounted.is_ok_and(|m| m.status.success()) {
            return Some(Self(dir.to_owned()));
        }
        parts::missing("a mount of tmpfs (root only)");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
