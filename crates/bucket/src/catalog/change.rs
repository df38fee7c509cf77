//! What a caller asks of a catalog, and what it gets.

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_block::BlockEntry;

/// Names one cut of an ingest partition. With the tenant it is unique: a new
/// leader that repeats the commit of a cut changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CutKey {
    /// The ingest partition.
    pub partition: u32,
    /// End of the window that was cut, in milliseconds since the epoch.
    pub window_end: i64,
    /// Number of the cut within the window.
    pub cut: u64,
}

/// Why a catalog changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An ingester ships a cut.
    Ship(CutKey),
    /// Blocks are replaced by one merged block.
    Merge,
    /// Rollups are added, or replaced.
    Rollup,
    /// Blocks are older than the tenant keeps them.
    Retention,
    /// Series were deleted.
    Erase,
    /// Blocks come from another system.
    Import,
    /// The catalog is made anew from its blocks.
    Rebuild,
    /// Nothing changes: a collection makes sure that no commit which began long
    /// before it can still land.
    Fence,
}

/// A block to be removed. It carries the end of its range, because that says
/// where in the catalog the block is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Removed {
    /// The block.
    pub id: Ulid,
    /// End of the block's range, in milliseconds since the epoch.
    pub range_end: i64,
}

impl From<&BlockEntry> for Removed {
    fn from(entry: &BlockEntry) -> Self {
        Self { id: entry.id, range_end: entry.range.end }
    }
}

/// One change of a tenant's catalog: all of it becomes visible at once.
#[derive(Clone, Debug)]
pub struct Change {
    /// Blocks that are listed from then on. All their files, `block.json`
    /// included, are in the bucket already.
    pub add: Vec<BlockEntry>,
    /// Blocks that are listed no more. When something is added, all of them
    /// must still be listed; else those that are gone already are passed over.
    pub remove: Vec<Removed>,
    /// Why.
    pub cause: Cause,
}

impl Change {
    /// The commit of a shipped cut.
    pub fn ship(cut: CutKey, add: Vec<BlockEntry>) -> Self {
        Self { add, remove: Vec::new(), cause: Cause::Ship(cut) }
    }

    /// The replacement of blocks by others.
    pub fn replace<'a>(
        cause: Cause,
        add: Vec<BlockEntry>,
        remove: impl IntoIterator<Item = &'a BlockEntry>,
    ) -> Self {
        Self { add, remove: remove.into_iter().map(Removed::from).collect(), cause }
    }

    /// The removal of blocks.
    pub fn remove<'a>(cause: Cause, remove: impl IntoIterator<Item = &'a BlockEntry>) -> Self {
        Self::replace(cause, Vec::new(), remove)
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// This change made this version.
    Now {
        /// The first version that has the change.
        version: u64,
    },
    /// The same cut or the same blocks had been committed before.
    Already {
        /// A version that has the change; not always the first one.
        version: u64,
    },
}

impl Committed {
    /// A version that has the change. It is durable, and never lost again.
    pub fn version(self) -> u64 {
        match self {
            Self::Now { version } | Self::Already { version } => version,
        }
    }
}
