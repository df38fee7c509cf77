//! Which series have which reference: the reason why labels of known series
//! are neither parsed nor sent.
//!
//! Keyed by the 128-bit fingerprint. Each shard keeps two maps; when the
//! young one is half the shard's share, it becomes the old one and the old
//! one is dropped: what was not used for that long is forgotten, at no cost
//! per use. An entry of another generation (limits changed) is not found.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use parking_lot::Mutex;

/// Number of shards, so that requests rarely wait for each other.
const SHARDS: usize = 16;
/// Memory of one slot of a hash map: an entry, its key, and a control byte.
const SLOT_BYTES: u64 = (size_of::<Key>() + size_of::<Entry>() + 1) as u64;

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

/// A fingerprint in two halves: as one number it would be aligned to 16 bytes,
/// and an entry would take 48 instead of 40.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    low: u64,
    high: u64,
}

impl Key {
    fn new(fingerprint: u128) -> Self {
        Self { low: fingerprint as u64, high: (fingerprint >> 64) as u64 }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
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

    fn write_u64(&mut self, v: u64) {
        self.0 = v;
    }
}

type Map = HashMap<Key, Entry, BuildHasherDefault<Identity>>;

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
    /// A cache that takes at most so many bytes: maps have a power of two of
    /// slots and fill seven of eight.
    pub(crate) fn new(bytes: u64) -> Self {
        let slots = bytes / SLOT_BYTES / SHARDS as u64 / 2;
        let slots = 1usize << slots.max(8).ilog2();
        let capacity = slots / 8 * 7;
        Self { shards: std::array::from_fn(|_| Mutex::default()), capacity }
    }

    pub(crate) fn get(&self, fingerprint: u128, generation: u32) -> Option<Entry> {
        let key = Key::new(fingerprint);
        let mut shard = self.shard(key).lock();
        if let Some(entry) = shard.young.get(&key) {
            return Some(*entry).filter(|e| e.generation == generation);
        }
        let entry = shard.old.remove(&key).filter(|e| e.generation == generation)?;
        shard.put(key, entry, self.capacity);
        Some(entry)
    }

    pub(crate) fn insert(&self, fingerprint: u128, entry: Entry) {
        let key = Key::new(fingerprint);
        self.shard(key).lock().put(key, entry, self.capacity);
    }

    pub(crate) fn remove(&self, fingerprint: u128) {
        let key = Key::new(fingerprint);
        let mut shard = self.shard(key).lock();
        shard.young.remove(&key);
        shard.old.remove(&key);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        let len = |s: &Mutex<Shard>| {
            let shard = s.lock();
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(len).sum()
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        // The high half: the map inside uses the low one.
        &self.shards[key.high as usize % SHARDS]
    }
}

impl Shard {
    fn put(&mut self, key: Key, entry: Entry, capacity: usize) {
        if self.young.len() >= capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
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
        let slots: usize =
            cache.shards.iter().map(|s| s.lock()).map(|s| slots(&s.young) + slots(&s.old)).sum();
        assert!(slots as u64 * SLOT_BYTES <= bytes, "{slots} slots");
        assert_eq!(cache.get(key(1), 1), None);
    }

    /// A scrape after the other asks for all series in turn: the worst order
    /// for what forgets the oldest.
    #[test]
    fn series_that_fit_are_all_found_in_every_turn() {
        let cache = References::new(1 << 20);
        let key = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        // 1.8 million at 256 MiB, less what shards differ by.
        let series = 1_800_000 / 256 * 9 / 10;
        for i in 0..series {
            cache.insert(key(i), entry(1));
        }
        for turn in 0..3 {
            for i in 0..series {
                assert!(cache.get(key(i), 1).is_some(), "series {i} in turn {turn}");
            }
        }
    }

    /// Slots behind a map.
    fn slots(map: &Map) -> usize {
        (map.capacity() * 8 / 7).next_power_of_two()
    }
}
