//! Vectors of times, decoded once for all chunks that share them: the series
//! of a block are scraped together, so that a merge of many meets the same few
//! vectors again and again.

use bytes::Bytes;

use super::check;
use crate::{EncodedChunk, Result, chunk};

/// Vectors that are remembered: those of a day of two-hour blocks and more.
const KNOWN: usize = 32;
/// A vector of more times is not remembered.
const MAX_TIMES: usize = 1 << 13;

/// The vectors that were met last.
#[derive(Default)]
pub(super) struct KnownTimes {
    known: Vec<Known>,
    /// Where the next one is likely to be: they come in turns.
    likely: usize,
    /// Whose place the next new one takes.
    oldest: usize,
}

struct Known {
    /// Address and length.
    key: (usize, usize),
    /// Its times since it was met twice. While the bytes are held no other
    /// vector can have the address.
    decoded: Option<(Bytes, Vec<i64>)>,
}

impl KnownTimes {
    /// Appends the times of a chunk's samples to `out`: those between its
    /// bounds where its vector has more.
    pub(super) fn append(&mut self, chunk: &EncodedChunk, out: &mut Vec<i64>) -> Result<()> {
        let (seam, count) = (out.len(), chunk.count as usize);
        match self.find(&chunk.times)? {
            Some(times) if times.len() > count => {
                let end = times.partition_point(|t| *t <= chunk.max_time);
                let start = times[..end].partition_point(|t| *t < chunk.min_time);
                out.extend_from_slice(&times[start..end]);
            }
            Some(times) => out.extend_from_slice(times),
            None => {
                chunk::decode_increasing_times(&chunk.times, out)?;
                if out.len() - seam > count {
                    let end = out[seam..].partition_point(|t| *t <= chunk.max_time);
                    out.truncate(seam + end);
                    let start = out[seam..].partition_point(|t| *t < chunk.min_time);
                    out.drain(seam..seam + start);
                }
            }
        }
        check("times", out.len() - seam, count)
    }

    /// The times of a vector that was met before.
    fn find(&mut self, vector: &Bytes) -> Result<Option<&[i64]>> {
        let key = (vector.as_ptr().addr(), vector.len());
        let is = |at: &usize| self.known[*at].key == key;
        let all = (self.likely..self.known.len()).chain(0..self.likely);
        let Some(at) = all.into_iter().find(is) else {
            self.meet(key);
            return Ok(None);
        };
        self.likely = (at + 1) % self.known.len();
        let decoded = &mut self.known[at].decoded;
        if decoded.is_none() {
            let mut times = Vec::new();
            chunk::decode_increasing_times(vector, &mut times)?;
            if times.len() > MAX_TIMES {
                return Ok(None);
            }
            *decoded = Some((vector.clone(), times));
        }
        Ok(decoded.as_ref().map(|(_, times)| &times[..]))
    }

    fn meet(&mut self, key: (usize, usize)) {
        let new = Known { key, decoded: None };
        if self.known.len() < KNOWN {
            self.known.push(new);
            return;
        }
        self.known[self.oldest] = new;
        self.oldest = (self.oldest + 1) % KNOWN;
    }
}
