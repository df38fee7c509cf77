//! Writes a block into a local directory.
//!
//! Series come in block order, once each. What depends on all of them (which
//! labels get columns, which timestamp vectors are shared) waits in spools,
//! one file each beside this one; [`BlockWriter::finish`] turns them into the
//! files that docs/formats/block.md draws.

mod columns;
mod extras;
mod parquet;
mod samples;
mod slices;
mod spool;
mod times;
mod vocabulary;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ulid::Ulid;
use varve_model::{
    Exemplar, FloatSamples, HistogramSamples, Labels, Metadata, TenantId, TimeRange, window_end,
};

use self::columns::SeriesSpool;
use self::extras::Exemplars;
use self::samples::{Row, SamplesSpool};
use self::times::TimesSpool;
use self::vocabulary::Vocabulary;
use crate::meta::{BLOCK_JSON, BLOCK_VERSION};
use crate::{
    BlockCounts, BlockEntry, BlockError, BlockMeta, ChunkKind, Result, block_order, chunk,
};

/// Most samples of one row; a window with more has several.
const MAX_ROW_SAMPLES: usize = 1 << 16;
/// Most coded bytes of one row's values.
const MAX_CHUNK_BYTES: usize = 1 << 30;

/// What a block is, before anything is in it. The fields mean what they mean
/// in [`BlockMeta`].
#[derive(Clone, Debug)]
pub struct BlockSpec {
    /// The block's identity.
    pub id: Ulid,
    /// Whose data it is.
    pub tenant: TenantId,
    /// Samples lie in this (start, end]; others are refused.
    pub range: TimeRange,
    /// Lowest series hash that the block may hold.
    pub min_hash: u64,
    /// Highest series hash that the block may hold (inclusive).
    pub max_hash: u64,
    /// 0 for a block of an ingester, one more than its highest source's else.
    pub level: u32,
    /// Milliseconds between samples of a rollup; 0 = raw.
    pub resolution: i64,
    /// The blocks that it is made from, all levels down.
    pub sources: Vec<Ulid>,
    /// With `index`, where its cut stands in the partition's log.
    pub term: u64,
    /// See `term`.
    pub index: u64,
    /// The ingest partition that cut it.
    pub partition: u32,
    /// Number of the cut within (partition, window), from 0.
    pub cut: u64,
    /// The present, in milliseconds since the epoch.
    pub created_ms: i64,
}

impl BlockSpec {
    /// A raw block of level 0 with all hashes, made from nothing, at (0, 0).
    pub fn new(id: Ulid, tenant: TenantId, range: TimeRange) -> Self {
        let (min_hash, max_hash) = (0, u64::MAX);
        let (level, resolution, sources, term, index, partition, cut, created_ms) =
            (0, 0, Vec::new(), 0, 0, 0, 0, 0);
        Self {
            id,
            tenant,
            range,
            min_hash,
            max_hash,
            level,
            resolution,
            sources,
            term,
            index,
            partition,
            cut,
            created_ms,
        }
    }
}

/// Sizes of pages and row groups. The default suits blocks of any size; tests
/// use small ones to reach the seams.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Most rows of a row group. Dictionaries repeat in each: of 1 M series,
    /// 123 B each at 5 k rows, 9 at 100 k, 4 at 1 M.
    pub row_group_rows: usize,
    /// Rows at which a page ends.
    pub page_rows: usize,
    /// Bytes at which a page ends.
    pub page_bytes: usize,
    /// Bytes at which a label column's dictionary is full; the values that
    /// follow in its row group are written plain.
    pub dictionary_bytes: usize,
    /// Series from which on a block has a `labels.parquet`: with fewer, the
    /// columns of `series.parquet` answer for names and values as fast.
    pub labels_from: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            row_group_rows: 1 << 18,
            page_rows: 8 << 10,
            page_bytes: 128 << 10,
            dictionary_bytes: 64 << 20,
            labels_from: 1 << 10,
        }
    }
}

/// A block whose files lie complete in a directory, none of them fsynced.
#[derive(Clone, Debug)]
pub struct FinishedBlock {
    /// The content of `block.json`.
    pub meta: BlockMeta,
    /// What to put into the catalog.
    pub entry: BlockEntry,
    /// Name inside the block and path of every file; `block.json` is the last,
    /// and is to be uploaded last.
    pub files: Vec<(String, PathBuf)>,
}

/// Writes one block. Memory is bounded by its label names and values, its
/// distinct timestamp vectors (some 90 bytes each) and its metadata; all else
/// goes through temporary files in the same directory.
///
/// A writer that is dropped, or that returned an error, leaves files behind:
/// the directory is the caller's to remove.
pub struct BlockWriter {
    dir: PathBuf,
    spec: BlockSpec,
    layout: Layout,
    counts: BlockCounts,
    last: Option<Labels>,
    names: Option<(String, String)>,
    times: (i64, i64),
    vocabulary: Vocabulary,
    numbers: Vec<(u32, u32)>,
    vectors: TimesSpool,
    series: SeriesSpool,
    samples: SamplesSpool,
    exemplars: Exemplars,
    metadata: BTreeMap<String, Metadata>,
    coded: Vec<u8>,
    coded_starts: Vec<u8>,
}

impl BlockWriter {
    /// Starts a block in `dir`, which must exist and be empty.
    pub fn create(dir: &Path, spec: BlockSpec) -> Result<Self> {
        Self::with_layout(dir, spec, Layout::default())
    }

    /// Starts a block with a layout of its own.
    pub fn with_layout(dir: &Path, spec: BlockSpec, layout: Layout) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            spec,
            layout,
            counts: BlockCounts::default(),
            last: None,
            names: None,
            times: (i64::MAX, i64::MIN),
            vocabulary: Vocabulary::default(),
            numbers: Vec::new(),
            vectors: TimesSpool::create(dir)?,
            series: SeriesSpool::create(dir)?,
            samples: SamplesSpool::create(dir)?,
            exemplars: Exemplars::new(dir, layout),
            metadata: BTreeMap::new(),
            coded: Vec::new(),
            coded_starts: Vec::new(),
        })
    }

    /// Adds a series, which must come after the last one in
    /// [`crate::block_order`]. Columns without samples are fine; a series with
    /// neither samples nor exemplars is not written.
    ///
    /// After an error the block cannot be finished to good purpose.
    pub fn push(
        &mut self,
        labels: &Labels,
        floats: FloatSamples,
        histograms: HistogramSamples,
        exemplars: &[Exemplar],
    ) -> Result<()> {
        if let Some(previous) = self.last.as_ref().filter(|p| block_order(p, labels).is_ge()) {
            let (previous, next) = (previous.clone(), labels.clone());
            return Err(BlockError::Order { previous, next });
        }
        self.check(labels, &floats.times, floats.values.len(), &floats.starts)?;
        self.check(labels, &histograms.times, histograms.values.len(), &histograms.starts)?;
        let hash = labels.hash64();
        if hash < self.spec.min_hash || hash > self.spec.max_hash {
            let (min, max) = (self.spec.min_hash, self.spec.max_hash);
            let detail = format!("its hash {hash} lies outside {min}..={max}");
            return Err(BlockError::Invalid { labels: labels.clone(), detail });
        }
        self.last = Some(labels.clone());
        if floats.is_empty() && histograms.is_empty() && exemplars.is_empty() {
            return Ok(());
        }

        // Rows of a series lie in order of window, then kind.
        let series = self.counts.series as i64;
        let before = self.counts.chunks;
        let (mut f, mut h) = (0, 0);
        while f < floats.len() || h < histograms.len() {
            let next = |times: &[i64], at: usize| times.get(at).map(|t| window_end(*t));
            let ends = (next(&floats.times, f), next(&histograms.times, h));
            let float_first = match ends {
                (Some(a), Some(b)) => a <= b,
                (a, _) => a.is_some(),
            };
            if float_first {
                f = self.add_floats(series, &floats, f)?;
            } else {
                h = self.add_histograms(series, &histograms, h)?;
            }
        }
        self.numbers.clear();
        self.vocabulary.add(labels, &mut self.numbers);
        self.series.add(&self.numbers, (self.counts.chunks - before) as u32)?;
        self.exemplars.add(series, exemplars)?;
        // A reader that prunes by time must find exemplars too.
        for e in exemplars {
            self.times = (self.times.0.min(e.timestamp), self.times.1.max(e.timestamp));
        }
        self.counts.series += 1;
        let name = labels.metric_name();
        match &mut self.names {
            // Block order begins with the name, so the newest is the last.
            Some((_, last)) if last == name => {}
            Some((_, last)) => name.clone_into(last),
            None => self.names = Some((name.to_owned(), name.to_owned())),
        }
        Ok(())
    }

    /// Adds the metadata of a metric family; the last call for a metric wins.
    pub fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        self.metadata.insert(metric.to_owned(), metadata.clone());
    }

    /// Writes the remaining files, `block.json` last. Nothing is fsynced.
    pub fn finish(mut self) -> Result<FinishedBlock> {
        let layout = self.layout;
        self.counts.exemplars = self.exemplars.count;
        let mut written = Vec::new();
        let mut times = self.vectors.finish()?;
        written.extend(times.write(&self.dir, layout)?);
        written.push(self.samples.write(&self.dir, layout, &mut times)?);
        drop(times);
        written.push(self.series.write(&self.dir, layout, &self.vocabulary)?);
        if self.counts.series >= layout.labels_from {
            written.push(self.vocabulary.write(&self.dir, layout)?);
        }
        written.extend(self.exemplars.finish()?);
        written.extend(extras::write_metadata(&self.dir, layout, &self.metadata)?);

        let spec = self.spec;
        let meta = BlockMeta {
            version: BLOCK_VERSION,
            id: spec.id,
            tenant: spec.tenant.to_string(),
            range: spec.range,
            min_hash: spec.min_hash,
            max_hash: spec.max_hash,
            level: spec.level,
            resolution: spec.resolution,
            sources: spec.sources,
            term: spec.term,
            index: spec.index,
            partition: spec.partition,
            cut: spec.cut,
            created_ms: spec.created_ms,
            counts: self.counts,
            min_time: self.times.0,
            max_time: self.times.1,
            min_name: self.names.as_ref().map(|n| n.0.clone()).unwrap_or_default(),
            max_name: self.names.map(|n| n.1).unwrap_or_default(),
            files: written.into_iter().collect(),
        };
        let path = self.dir.join(BLOCK_JSON);
        std::fs::write(&path, meta.to_json()?).map_err(BlockError::io("write", &path))?;
        let mut files: Vec<(String, PathBuf)> =
            meta.files.keys().map(|name| (name.clone(), self.dir.join(name))).collect();
        files.push((BLOCK_JSON.to_owned(), path));
        Ok(FinishedBlock { entry: BlockEntry::new(&meta), meta, files })
    }

    fn check(&self, labels: &Labels, times: &[i64], values: usize, starts: &[i64]) -> Result<()> {
        let range = self.spec.range;
        let detail = if values != times.len() {
            format!("{values} values at {} times", times.len())
        } else if !starts.is_empty() && starts.len() != times.len() {
            format!("{} start timestamps at {} times", starts.len(), times.len())
        } else if let Some(w) = times.windows(2).find(|w| w[0] >= w[1]) {
            format!("time {} is not after {}", w[1], w[0])
        } else if let Some(t) =
            times.first().into_iter().chain(times.last()).find(|t| !range.contains(**t))
        {
            format!("time {t} lies outside ({}, {}]", range.start, range.end)
        } else {
            return Ok(());
        };
        Err(BlockError::Invalid { labels: labels.clone(), detail })
    }

    fn add_floats(&mut self, series: i64, column: &FloatSamples, from: usize) -> Result<usize> {
        let part = part(&column.times, from);
        self.coded.clear();
        chunk::encode_floats(&column.values[part.clone()], &mut self.coded);
        self.add_row(series, ChunkKind::Float, &column.times, &column.starts, part)
    }

    fn add_histograms(
        &mut self,
        series: i64,
        column: &HistogramSamples,
        from: usize,
    ) -> Result<usize> {
        let part = part(&column.times, from);
        self.coded.clear();
        chunk::encode_histograms(&column.values[part.clone()], &mut self.coded);
        self.counts.histograms += part.len() as u64;
        self.add_row(series, ChunkKind::Histogram, &column.times, &column.starts, part)
    }

    /// Adds one row, whose coded values are in `self.coded`.
    fn add_row(
        &mut self,
        series: i64,
        kind: ChunkKind,
        times: &[i64],
        starts: &[i64],
        part: Range<usize>,
    ) -> Result<usize> {
        let times = &times[part.clone()];
        let starts = starts.get(part.clone()).unwrap_or(&[]);
        self.coded_starts.clear();
        if starts.iter().any(|s| *s != 0) {
            chunk::encode_starts(starts, times, &mut self.coded_starts);
        }
        if self.coded.len() > MAX_CHUNK_BYTES {
            let (labels, size) = (self.last.clone().unwrap_or_default(), self.coded.len());
            let detail = format!("a chunk of {size} bytes, the limit is {MAX_CHUNK_BYTES}");
            return Err(BlockError::Invalid { labels, detail });
        }
        let (min_time, max_time) = (times[0], times[times.len() - 1]);
        self.samples.add(&Row {
            series,
            window: window_end(min_time),
            kind,
            count: times.len() as u32,
            min_time,
            max_time,
            times: self.vectors.add(times)?,
            chunk: &self.coded,
            starts: &self.coded_starts,
        })?;
        self.counts.chunks += 1;
        self.counts.samples += times.len() as u64;
        self.times = (self.times.0.min(min_time), self.times.1.max(max_time));
        Ok(part.end)
    }
}

/// The samples from `from` on that go into one row: those of one window.
fn part(times: &[i64], from: usize) -> Range<usize> {
    let end = window_end(times[from]);
    let rest = &times[from..];
    from..from + rest.partition_point(|t| *t <= end).min(MAX_ROW_SAMPLES)
}
