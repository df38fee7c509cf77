//! Columns of times that this thread decoded lately.
//!
//! The series of a scrape target share their times, and neighbours in a block
//! come from a few targets in turn: most columns of times were decoded before.
//! They are known again by their bytes, wherever those come from.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64;

use super::{ChunkError, decode_times};

/// Columns remembered are this many
const SETS: usize = 64;
/// times this many; two hours of a 15 s scrape take 4 KiB each.
const WAYS: usize = 4;
/// A longer column is not remembered.
const LONGEST: usize = 1024;

#[derive(Default)]
struct Slot {
    coded: Vec<u8>,
    /// Strictly increasing.
    times: Vec<i64>,
}

/// Columns whose hashes end alike.
#[derive(Default)]
struct Set {
    hashes: [u64; WAYS],
    slots: [Slot; WAYS],
    /// Which of them is forgotten next.
    next: usize,
}

thread_local! {
    static RECENT: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

/// Appends the timestamps of a column to `out`, as [`decode_times`] does, and
/// checks that they are strictly increasing. Copies them if this thread has
/// decoded the same bytes twice lately, which it remembers for 256 columns of
/// at most 1,024 samples. After an error `out` may hold some of them.
pub fn decode_increasing_times(bytes: &[u8], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    RECENT.with_borrow_mut(|sets| {
        if sets.is_empty() {
            sets.resize_with(SETS, Set::default);
        }
        let hash = xxh3_64(bytes);
        let set = &mut sets[hash as usize % SETS];
        let met = set.hashes.iter().position(|known| *known == hash);
        if let Some(slot) = met.map(|at| &set.slots[at])
            && slot.coded == bytes
            && !bytes.is_empty()
        {
            out.extend_from_slice(&slot.times);
            return Ok(());
        }
        let start = out.len();
        decode_times(bytes, out)?;
        let times = &out[start..];
        if let Some([after, time]) = times.array_windows().find(|[a, b]| a >= b) {
            return Err(ChunkError::Order { time: *time, after: *after });
        }
        match met {
            Some(at) if times.len() <= LONGEST && bytes.len() <= LONGEST * size_of::<i64>() => {
                let Slot { coded, times: kept } = &mut set.slots[at];
                coded.clear();
                coded.extend_from_slice(bytes);
                kept.clear();
                kept.extend_from_slice(times);
            }
            Some(_) => {}
            // Most columns that come once do not come again.
            None => {
                set.hashes[set.next] = hash;
                set.slots[set.next].coded.clear();
                set.next = (set.next + 1) % WAYS;
            }
        }
        Ok(())
    })
}
