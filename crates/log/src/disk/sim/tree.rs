//! The simulated disk's files and folders: what a process sees of them, what
//! a power cut leaves, and what lies between.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The folder that is always there.
pub(super) const ROOT: u64 = 0;

/// A file's or a folder's number by its name.
pub(super) type Names = BTreeMap<OsString, u64>;

#[derive(Default)]
pub(super) struct Inode {
    pub(super) node: Node,
    /// Openings of it that are not dropped.
    pub(super) handles: u32,
    /// The process and the opening that have locked it.
    pub(super) locked: Option<(u64, u64)>,
    pub(super) modified: u64,
}

pub(super) enum Node {
    File(File),
    Dir(Dir),
}

impl Default for Node {
    fn default() -> Self {
        Self::File(File::default())
    }
}

#[derive(Default)]
pub(super) struct File {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// Whether a failed sync left bytes that are only seen, and never synced.
    pub(super) stale: bool,
}

#[derive(Default)]
pub(super) struct Dir {
    pub(super) live: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<NameChange>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

/// A change in one folder.
#[derive(Clone)]
pub(super) enum NameChange {
    Link(OsString, u64),
    /// From a name in a folder, which may be another.
    Rename {
        from: (u64, OsString),
        to: OsString,
        inode: u64,
    },
    Remove(OsString),
}

/// Vigna's splitmix64: small, and good enough to choose what is lost.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
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

impl File {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Lets some pieces of what is pending reach the platter, in any order.
    pub(super) fn lose_some(&mut self, random: &mut SplitMix) {
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
        self.stale |= !pieces.is_empty();
        for piece in pieces {
            if random.coin() {
                piece.apply(&mut self.durable);
            }
        }
    }

    /// What is left after a power cut.
    pub(super) fn power_cut(&mut self, random: &mut SplitMix) {
        self.lose_some(random);
        if std::mem::take(&mut self.stale) {
            self.live.clone_from(&self.durable);
        }
    }
}
