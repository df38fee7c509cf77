//! `samples.parquet`: one row for each (series, window, kind).
//!
//! A row waits in a spool with its coded values until the users of its
//! timestamp vector are counted.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Int32Array, Int64Array};

use super::Layout;
use super::parquet::{FileWriter, delta, path, properties, zstd};
use super::spool::{BUFFER, Spool, SpoolReader};
use super::times::Times;
use crate::{ChunkKind, FileMeta, Result, schema};

/// Level of zstd for coded values. From 5 on it leaves literals of packed bits
/// as they are, where Huffman codes would save as little as they slow readers
/// down: four times for series of a 15 s scrape. Smaller than level 1.
const CHUNK_LEVEL: i32 = 6;
/// Rows and coded bytes after which a batch is written.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 8 << 20;

/// One row before its times are resolved.
pub(super) struct Row<'a> {
    pub(super) series: i64,
    pub(super) window: i64,
    pub(super) kind: ChunkKind,
    pub(super) count: u32,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    /// Number of its timestamp vector.
    pub(super) times: u32,
    pub(super) chunk: &'a [u8],
    pub(super) starts: &'a [u8],
}

/// The rows of a block, waiting for their times.
pub(super) struct SamplesSpool {
    spool: Spool,
    record: Vec<u8>,
}

impl SamplesSpool {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        Ok(Self { spool: Spool::create(dir, "samples.spool")?, record: Vec::new() })
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<()> {
        self.record.clear();
        for n in [row.series, row.window, row.min_time, row.max_time] {
            self.record.extend_from_slice(&n.to_le_bytes());
        }
        let lens = [row.chunk.len() as u32, row.starts.len() as u32];
        for n in [row.kind as u32, row.count, row.times, lens[0], lens[1]] {
            self.record.extend_from_slice(&n.to_le_bytes());
        }
        self.record.extend_from_slice(row.chunk);
        self.record.extend_from_slice(row.starts);
        self.spool.write(&self.record)
    }

    /// Writes `samples.parquet`.
    pub(super) fn write(
        self,
        dir: &Path,
        layout: Layout,
        times: &mut Times,
    ) -> Result<(String, FileMeta)> {
        let integers = ["series", "window", "min_time", "max_time", "ts_id", "ts_first"];
        let p = delta(properties(layout)?, &integers)
            .set_column_compression(path("chunk"), zstd(CHUNK_LEVEL)?)
            .set_column_dictionary_enabled(path("kind"), true)
            .set_column_dictionary_enabled(path("count"), true)
            .set_write_batch_size(layout.page_rows.clamp(1, 64));
        let mut file = FileWriter::create(dir, schema::SAMPLES, schema::samples(), p.build())?;
        let mut spool = self.spool.read_back(BUFFER)?;
        let mut batch = Batch::default();
        while !spool.is_done() {
            batch.read(&mut spool, times)?;
            if batch.count.len() >= BATCH_ROWS || batch.bytes >= BATCH_BYTES {
                file.write(batch.take())?;
            }
        }
        file.write(batch.take())?;
        file.finish()
    }
}

#[derive(Default)]
struct Batch {
    /// series, window, min_time, max_time
    longs: [Vec<i64>; 4],
    kind: Vec<i32>,
    count: Vec<i32>,
    ts_id: Vec<i32>,
    ts_first: Vec<i32>,
    times: BinaryBuilder,
    chunk: BinaryBuilder,
    starts: BinaryBuilder,
    bytes: usize,
    buffer: Vec<u8>,
}

impl Batch {
    fn read(&mut self, spool: &mut SpoolReader, times: &mut Times) -> Result<()> {
        for column in &mut self.longs {
            column.push(spool.i64()?);
        }
        let (kind, count, vector) = (spool.u32()?, spool.u32()?, spool.u32()?);
        let (chunk, starts) = (spool.u32()? as usize, spool.u32()? as usize);
        self.kind.push(kind as i32);
        self.count.push(count as i32);
        spool.bytes(&mut self.buffer, chunk)?;
        self.chunk.append_value(&self.buffer);
        spool.bytes(&mut self.buffer, starts)?;
        self.starts.append_value(&self.buffer);
        let place = times.resolve(vector, &mut self.buffer)?;
        self.ts_id.push(place.id);
        self.ts_first.push(place.first);
        self.times.append_value(&self.buffer);
        self.bytes += chunk + starts + self.buffer.len();
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        self.bytes = 0;
        let [series, window, min, max] = std::mem::take(&mut self.longs).map(Int64Array::from);
        let ints = [&mut self.kind, &mut self.count, &mut self.ts_id, &mut self.ts_first];
        let [kind, count, ts_id, ts_first] =
            ints.map(|column| Int32Array::from(std::mem::take(column)));
        vec![
            Arc::new(series),
            Arc::new(window),
            Arc::new(kind),
            Arc::new(count),
            Arc::new(min),
            Arc::new(max),
            Arc::new(ts_id),
            Arc::new(ts_first),
            Arc::new(self.times.finish()),
            Arc::new(self.chunk.finish()),
            Arc::new(self.starts.finish()),
        ]
    }
}
