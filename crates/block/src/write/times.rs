//! Timestamp vectors, shared by content.
//!
//! The series of one scrape target have equal times. A vector with at least
//! [`MIN_USERS`] users goes to `timestamps.parquet` once; others go inline into
//! the rows that use them. Only hashes stay in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int32Array};
use xxhash_rust::xxh3::xxh3_128;

use super::Layout;
use super::parquet::{FileWriter, delta, properties};
use super::spool::{Spool, SpoolReader};
use crate::schema::{self, INLINE};
use crate::{FileMeta, Result, chunk};

/// Rows that must share a vector for it to be stored apart.
const MIN_USERS: u32 = 4;
/// Rows and coded bytes after which a batch is written.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

struct Vector {
    /// Where its coded bytes lie in the spool.
    offset: u64,
    len: u32,
    count: u32,
    users: u32,
}

/// Collects the vectors of a block.
pub(super) struct TimesSpool {
    spool: Spool,
    vectors: Vec<Vector>,
    ids: HashMap<(u128, u32), u32>,
    raw: Vec<u8>,
    coded: Vec<u8>,
}

/// The vectors, once all users are known.
pub(super) struct Times {
    spool: SpoolReader,
    vectors: Vec<Vector>,
    /// Row of each vector in `timestamps.parquet`, or [`INLINE`].
    ids: Vec<i32>,
}

impl TimesSpool {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let spool = Spool::create(dir, "times.spool")?;
        let (vectors, ids, raw, coded) = (Vec::new(), HashMap::new(), Vec::new(), Vec::new());
        Ok(Self { spool, vectors, ids, raw, coded })
    }

    /// The number of the vector with these times, of which there is one more
    /// user now.
    pub(super) fn add(&mut self, times: &[i64]) -> Result<u32> {
        self.raw.clear();
        for t in times {
            self.raw.extend_from_slice(&t.to_le_bytes());
        }
        let count = times.len() as u32;
        let key = (xxh3_128(&self.raw), count);
        if let Some(&id) = self.ids.get(&key) {
            self.vectors[id as usize].users += 1;
            return Ok(id);
        }
        self.coded.clear();
        chunk::encode_times(times, &mut self.coded);
        let id = self.vectors.len() as u32;
        let (offset, len) = (self.spool.len(), self.coded.len() as u32);
        self.spool.write(&self.coded)?;
        self.vectors.push(Vector { offset, len, count, users: 1 });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// Ends the collection and numbers the shared vectors.
    pub(super) fn finish(self) -> Result<Times> {
        let mut next = 0;
        let number = |v: &Vector| {
            if v.users < MIN_USERS {
                return INLINE;
            }
            next += 1;
            next - 1
        };
        let ids = self.vectors.iter().map(number).collect();
        Ok(Times { spool: self.spool.read_back()?, vectors: self.vectors, ids })
    }
}

impl Times {
    /// Writes `timestamps.parquet`, `None` when no vector is shared.
    pub(super) fn write(
        &mut self,
        dir: &Path,
        layout: Layout,
    ) -> Result<Option<(String, FileMeta)>> {
        let shared: Vec<usize> = (0..self.ids.len()).filter(|i| self.ids[*i] != INLINE).collect();
        if shared.is_empty() {
            return Ok(None);
        }
        let p = delta(properties(layout)?, &["id", "count"])
            .set_write_batch_size(layout.page_rows.clamp(1, 64));
        let (name, schema) = (schema::TIMESTAMPS, schema::timestamps());
        let mut file = FileWriter::create(dir, name, schema, p.build())?;
        let mut batch: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        for i in shared {
            let mut coded = Vec::new();
            self.read(i, &mut coded)?;
            bytes += coded.len();
            batch.push((i, coded));
            if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                self.write_batch(&mut file, &mut batch)?;
                bytes = 0;
            }
        }
        self.write_batch(&mut file, &mut batch)?;
        self.spool.rewind()?;
        file.finish().map(Some)
    }

    fn write_batch(&self, file: &mut FileWriter, batch: &mut Vec<(usize, Vec<u8>)>) -> Result<()> {
        let ids = batch.iter().map(|(i, _)| self.ids[*i]);
        let counts = batch.iter().map(|(i, _)| self.vectors[*i].count as i32);
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(ids));
        let counts: ArrayRef = Arc::new(Int32Array::from_iter_values(counts));
        let times: ArrayRef = Arc::new(BinaryArray::from_iter_values(batch.iter().map(|b| &b.1)));
        batch.clear();
        file.write(vec![ids, counts, times])
    }

    /// How a row refers to vector `i`: its row in `timestamps.parquet`, or
    /// [`INLINE`] with the coded times in `inline`.
    pub(super) fn resolve(&mut self, i: u32, inline: &mut Vec<u8>) -> Result<i32> {
        inline.clear();
        let id = self.ids[i as usize];
        if id == INLINE {
            self.read(i as usize, inline)?;
        }
        Ok(id)
    }

    fn read(&mut self, i: usize, out: &mut Vec<u8>) -> Result<()> {
        let Vector { offset, len, .. } = self.vectors[i];
        self.spool.seek(offset)?;
        self.spool.bytes(out, len as usize)
    }
}
