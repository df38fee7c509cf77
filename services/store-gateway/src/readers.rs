//! Readers of blocks that were asked for lately, kept within a bound of memory:
//! their footers are parsed and, of those asked for again, their tables of
//! series decoded. Blocks never change, so nothing in here can be stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use varve_block::{BlockEntry, BlockReader, LabelPool};
use varve_bucket::FileCache;
use varve_model::TenantId;

/// What an open reader takes besides what it says itself.
const FIXED: usize = 4 << 10;

/// The readers of one process.
#[derive(Clone)]
pub(crate) struct Readers {
    cache: FileCache,
    limit: usize,
    labels: Arc<LabelPool>,
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
        Self { cache, limit, labels: Arc::default(), known: Arc::default() }
    }

    /// Readers of the blocks of one request.
    pub(crate) fn of(&self, tenant: &TenantId, entries: Vec<BlockEntry>) -> Vec<BlockReader> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn += 1;
        let turn = known.turn;
        let one = |entry: BlockEntry| {
            let key = (tenant.clone(), entry.id.to_bytes());
            let kept = known.readers.entry(key).or_insert_with(|| {
                let files = Arc::new(self.cache.files(tenant, &entry));
                (turn, BlockReader::sharing(Arc::clone(&self.labels), entry, files))
            });
            kept.0 = turn;
            kept.1.clone()
        };
        let readers = entries.into_iter().map(one).collect();
        known.bound(self.limit, &self.labels);
        readers
    }
}

impl Known {
    /// Forgets those that were not asked for the longest once they do not all
    /// fit: an eighth at least, so that not every request has to.
    fn bound(&mut self, limit: usize, labels: &LabelPool) {
        if self.memory(labels) <= limit {
            return;
        }
        let mut all: Vec<_> = self.readers.iter().map(|(key, (t, _))| (*t, key.clone())).collect();
        all.sort_unstable_by_key(|(turn, _)| *turn);
        // The newest stays, however large.
        all.pop();
        for some in all.chunks(all.len().div_ceil(8).max(1)) {
            for (_, key) in some {
                self.readers.remove(key);
            }
            // Those label sets that no other reader has.
            labels.purge();
            if self.memory(labels) <= limit - limit / 8 {
                break;
            }
        }
    }

    fn memory(&self, labels: &LabelPool) -> usize {
        let readers = self.readers.values().map(|(_, reader)| FIXED + reader.memory());
        readers.sum::<usize>() + labels.memory()
    }
}
