//! Timestamp vectors, shared by content.
//!
//! The series of one scrape target have equal times, or the end or beginning
//! of them. A vector with at least [`MIN_USERS`] users goes to
//! `timestamps.parquet` once; others go inline into the rows that use them.
//! Only hashes stay in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int32Array};
use xxhash_rust::xxh3::xxh3_128;

use super::Layout;
use super::parquet::{FileWriter, delta, properties};
use super::slices::{self, Slice};
use super::spool::{Spool, SpoolReader};
use crate::schema::{self, INLINE};
use crate::{FileMeta, Result, chunk};

/// Rows that must share a vector for it to be stored apart.
const MIN_USERS: u32 = 4;
/// Rows and coded bytes after which a batch is written.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// Bytes read at a time where vectors are read out of order.
const SEEK_BYTES: usize = 8 << 10;

/// One distinct vector.
pub(super) struct Vector {
    /// Where its coded bytes lie in the spool.
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) count: u32,
    /// Rows that have these times.
    pub(super) users: u32,
    pub(super) first: i64,
    pub(super) last: i64,
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
    /// The vector whose times each has.
    slices: Vec<Slice>,
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
        let (first, last) = times.first().zip(times.last()).map_or((0, 0), |(f, l)| (*f, *l));
        let (offset, len) = (self.spool.len(), self.coded.len() as u32);
        self.spool.write(&self.coded)?;
        self.vectors.push(Vector { offset, len, count, users: 1, first, last });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// Ends the collection and numbers the shared vectors.
    pub(super) fn finish(self) -> Result<Times> {
        let vectors = self.vectors;
        let mut spool = self.spool.read_back(SEEK_BYTES)?;
        let mut coded = self.coded;
        let slices = slices::find(&vectors, |v, times| {
            read(&mut spool, &vectors[v as usize], &mut coded)?;
            Ok(chunk::decode_times(&coded, times)?)
        })?;
        spool.rewind()?;
        let mut users = vec![0u32; vectors.len()];
        for (vector, slice) in vectors.iter().zip(&slices) {
            users[slice.whole as usize] += vector.users;
        }
        let mut next = 0;
        let number = |users: &u32| {
            if *users < MIN_USERS {
                return INLINE;
            }
            next += 1;
            next - 1
        };
        let ids = users.iter().map(number).collect();
        Ok(Times { spool, vectors, slices, ids })
    }
}

fn read(spool: &mut SpoolReader, vector: &Vector, out: &mut Vec<u8>) -> Result<()> {
    spool.seek(vector.offset)?;
    spool.bytes(out, vector.len as usize)
}

/// Where the times of a row are.
pub(super) struct Place {
    /// Row of `timestamps.parquet`, or [`INLINE`].
    pub(super) id: i32,
    /// The first of its times that the row uses.
    pub(super) first: i32,
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

    /// How a row refers to vector `i`; the coded times are in `inline` when
    /// they are not in `timestamps.parquet`.
    pub(super) fn resolve(&mut self, i: u32, inline: &mut Vec<u8>) -> Result<Place> {
        inline.clear();
        let Slice { whole, from } = self.slices[i as usize];
        let id = self.ids[whole as usize];
        if id != INLINE {
            return Ok(Place { id, first: from as i32 });
        }
        self.read(i as usize, inline)?;
        Ok(Place { id, first: 0 })
    }

    fn read(&mut self, i: usize, out: &mut Vec<u8>) -> Result<()> {
        read(&mut self.spool, &self.vectors[i], out)
    }
}
