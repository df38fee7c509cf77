//! A digest of what happened to a simulated disk, by which two runs are held
//! against each other.

use std::ffi::OsStr;

use super::Crash;
use super::tree::{Change, SplitMix};

/// What has happened so far.
#[derive(Clone, Default)]
pub(super) struct History(u64);

impl History {
    fn note(&mut self, kind: u8, inode: u64, number: u64, bytes: &[u8]) {
        let sum = crc32c::crc32c(bytes);
        for part in [u64::from(kind), inode, number, u64::from(sum), bytes.len() as u64] {
            self.0 = SplitMix(self.0 ^ part).next();
        }
    }

    /// A new folder; its name may differ from run to run, its number may not.
    pub(super) fn folder(&mut self, inode: u64) {
        self.note(1, inode, 0, &[]);
    }

    /// A name in a folder is now that of another file, or of none.
    pub(super) fn name(&mut self, dir: u64, name: &OsStr, inode: Option<u64>) {
        self.note(2, dir, inode.unwrap_or(u64::MAX), name.as_encoded_bytes());
    }

    pub(super) fn write(&mut self, inode: u64, change: &Change) {
        match change {
            Change::Write { offset, bytes } => self.note(3, inode, *offset as u64, bytes),
            Change::Len(len) => self.note(4, inode, *len as u64, &[]),
        }
    }

    /// A sync of a file or folder, and whether it failed.
    pub(super) fn sync(&mut self, inode: u64, failed: bool) {
        self.note(5, inode, u64::from(failed), &[]);
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.note(6, u64::from(crash == Crash::Power), 0, &[]);
    }

    /// This history with the bytes that a file has in the end.
    pub(super) fn with(&mut self, inode: u64, live: &[u8], durable: &[u8]) {
        self.note(7, inode, 0, live);
        self.note(8, inode, 0, durable);
    }

    pub(super) fn digest(&self) -> u64 {
        self.0
    }
}
