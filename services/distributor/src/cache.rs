//! Which series have which reference: the reason why labels of known series
//! are neither parsed nor sent.
//!
//! Keyed by the 128-bit fingerprint. Each shard keeps two maps; when the
//! young one is half the shard's share, it becomes the old one and the old
//! one is dropped: what was not used for that long is forgotten, at no cost
//! per use. An entry of another generation (limits changed) is not found.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parking_lot::Mutex;

/// Number of shards, so that requests rarely wait for each other.
const SHARDS: usize = 16;
/// Memory of one entry: 48 bytes, and the free room of a hash map.
const ENTRY_BYTES: u64 = 100;

/// Where a known series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The reference that the partition's head gave it.
    pub(crate) reference: u64,
    /// What it said of its family last; 0 = nothing.
    pub(crate) metadata: u64,
    pub(crate) partition: u32,
    /// Of the tenant's limits when it was validated.
    pub(crate) generation: u32,
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }

    fn write_u128(&mut self, v: u128) {
        self.0 = v as u64;
    }
}

type Map = HashMap<u128, Entry, BuildHasherDefault<Identity>>;

#[derive(Default)]
struct Shard {
    young: Map,
    old: Map,
}

/// The cache of one process.
pub(crate) struct References {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of one shard's map.
    capacity: usize,
}

impl References {
    /// A cache that takes about so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = bytes / ENTRY_BYTES / SHARDS as u64 / 2;
        let capacity = usize::try_from(entries).unwrap_or(usize::MAX).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), capacity }
    }

    pub(crate) fn get(&self, fingerprint: u128, generation: u32) -> Option<Entry> {
        let mut shard = self.shard(fingerprint).lock();
        if let Some(entry) = shard.young.get(&fingerprint) {
            return Some(*entry).filter(|e| e.generation == generation);
        }
        let entry = shard.old.remove(&fingerprint).filter(|e| e.generation == generation)?;
        shard.put(fingerprint, entry, self.capacity);
        Some(entry)
    }

    pub(crate) fn insert(&self, fingerprint: u128, entry: Entry) {
        self.shard(fingerprint).lock().put(fingerprint, entry, self.capacity);
    }

    pub(crate) fn remove(&self, fingerprint: u128) {
        let mut shard = self.shard(fingerprint).lock();
        shard.young.remove(&fingerprint);
        shard.old.remove(&fingerprint);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        let len = |s: &Mutex<Shard>| {
            let shard = s.lock();
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(len).sum()
    }

    fn shard(&self, fingerprint: u128) -> &Mutex<Shard> {
        // The high half: the map inside uses the low one.
        &self.shards[(fingerprint >> 64) as usize % SHARDS]
    }
}

impl Shard {
    fn put(&mut self, fingerprint: u128, entry: Entry, capacity: usize) {
        if self.young.len() >= capacity && !self.young.contains_key(&fingerprint) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: u64) -> Entry {
        Entry { reference, metadata: 0, partition: 0, generation: 1 }
    }

    #[test]
    fn entries_of_another_generation_are_not_found() {
        let cache = References::new(1 << 20);
        cache.insert(7, entry(1));
        assert_eq!(cache.get(7, 1), Some(entry(1)));
        assert_eq!(cache.get(7, 2), None);
        cache.remove(7);
        assert_eq!(cache.get(7, 1), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let bytes = 1 << 20;
        let cache = References::new(bytes);
        let key = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        cache.insert(key(0), entry(0));
        for i in 1..200_000u64 {
            cache.insert(key(i.into()), entry(i));
            assert!(cache.get(key(0), 1).is_some(), "forgotten after {i} others");
        }
        assert!(cache.len() as u64 <= bytes / ENTRY_BYTES, "{} entries", cache.len());
        assert_eq!(cache.get(key(1), 1), None);
    }
}
