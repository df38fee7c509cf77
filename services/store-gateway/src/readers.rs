//! Readers of blocks that were asked for lately, kept within a bound of memory:
//! their footers are parsed and, of those asked for again, their tables of
//! series decoded. Blocks never change, so nothing in here can be stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use varve_block::{BlockEntry, BlockReader};
use varve_bucket::FileCache;
use varve_model::TenantId;

/// What an open reader takes besides what it says itself.
const FIXED: usize = 4 << 10;

/// The readers of one process.
#[derive(Clone)]
pub(crate) struct Readers {
    cache: FileCache,
    limit: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    readers: HashMap<(TenantId, [u8; 16]), (u64, BlockReader)>,
    /// Counts the requests: who was asked last has the highest number.
    turn: u64,
}

impl Readers {
    /// No reader yet; at most `limit` bytes are kept between requests.
    pub(crate) fn new(cache: FileCache, limit: usize) -> Self {
        Self { cache, limit, known: Arc::default() }
    }

    /// A reader of a block.
    pub(crate) fn of(&self, tenant: &TenantId, entry: BlockEntry) -> BlockReader {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn += 1;
        let turn = known.turn;
        let new = || {
            let files = Arc::new(self.cache.files(tenant, &entry));
            (turn, BlockReader::new(entry.clone(), files))
        };
        let kept = known.readers.entry((tenant.clone(), entry.id.to_bytes())).or_insert_with(new);
        kept.0 = turn;
        let reader = kept.1.clone();
        known.bound(self.limit);
        reader
    }
}

impl Known {
    /// Forgets those that were not asked for the longest, until the rest fits.
    fn bound(&mut self, limit: usize) {
        let size = |reader: &BlockReader| FIXED + reader.memory();
        let mut used: usize = self.readers.values().map(|(_, reader)| size(reader)).sum();
        while used > limit && self.readers.len() > 1 {
            let oldest = self.readers.iter().min_by_key(|(_, (turn, _))| *turn);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some((_, reader)) = self.readers.remove(&key) {
                used -= size(&reader);
            }
        }
    }
}
