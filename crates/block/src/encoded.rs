//! A series with its samples still coded: what blocks and heads hand to the
//! merge, in this process or over the wire.
//!
//! One chunk is the samples of one kind of one series in one 2 h window.

use bytes::Bytes;
use varve_model::{FloatSamples, HistogramSamples, Labels, TimeRange};

use crate::{Result, chunk};

/// What the values of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChunkKind {
    /// 64-bit floats, coded by [`chunk::encode_floats`].
    Float = 0,
    /// Native histograms, coded by [`chunk::encode_histograms`].
    Histogram = 1,
}

/// Coded samples of one series, sorted by time, each time once.
///
/// * `count` is at least 1 and at most [`chunk::MAX_CHUNK_SAMPLES`]
/// * `values` and `starts` (unless empty) each hold `count` entries
/// * `times` are strictly increasing; `count` of them lie between `min_time`
///   and `max_time`, and those are the samples'. A vector that a block shares
///   may have more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChunk {
    /// What the values are.
    pub kind: ChunkKind,
    /// Time of the first sample, in milliseconds since the epoch.
    pub min_time: i64,
    /// Time of the last sample, in milliseconds since the epoch.
    pub max_time: i64,
    /// How many samples.
    pub count: u32,
    /// [`chunk::encode_times`]; chunks may share these bytes, also such of
    /// different samples.
    pub times: Bytes,
    /// Coded values.
    pub values: Bytes,
    /// [`chunk::encode_starts`]; empty when no sample has a start timestamp.
    pub starts: Bytes,
    /// With `index`, the order of the cut that the chunk came from.
    pub term: u64,
    /// See `term`; data that has not shipped has `u64::MAX` in both.
    pub index: u64,
}

/// A series with chunks in any order; they may overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSeries {
    /// Who the samples belong to.
    pub labels: Labels,
    /// The samples.
    pub chunks: Vec<EncodedChunk>,
}

impl EncodedChunk {
    /// Codes a column of floats; `None` when it is empty.
    pub fn from_floats(samples: &FloatSamples, term: u64, index: u64) -> Option<Self> {
        let mut values = Vec::new();
        chunk::encode_floats(&samples.values, &mut values);
        let starts = &samples.starts;
        Self::from_parts(ChunkKind::Float, &samples.times, values, starts, (term, index))
    }

    /// Codes a column of histograms; `None` when it is empty.
    pub fn from_histograms(samples: &HistogramSamples, term: u64, index: u64) -> Option<Self> {
        let mut values = Vec::new();
        chunk::encode_histograms(&samples.values, &mut values);
        let starts = &samples.starts;
        Self::from_parts(ChunkKind::Histogram, &samples.times, values, starts, (term, index))
    }

    fn from_parts(
        kind: ChunkKind,
        times: &[i64],
        values: Vec<u8>,
        starts: &[i64],
        (term, index): (u64, u64),
    ) -> Option<Self> {
        let (&min_time, &max_time) = times.first().zip(times.last())?;
        let count = u32::try_from(times.len()).ok()?;
        let mut coded_times = Vec::new();
        chunk::encode_times(times, &mut coded_times);
        let mut coded_starts = Vec::new();
        chunk::encode_starts(starts, times, &mut coded_starts);
        let (times, starts) = (coded_times.into(), coded_starts.into());
        let values = values.into();
        Some(Self { kind, min_time, max_time, count, times, values, starts, term, index })
    }

    /// Whether some sample's time may lie in `range`.
    pub fn overlaps(&self, range: &TimeRange) -> bool {
        range.start < self.max_time && self.min_time <= range.end
    }

    /// Bytes of memory behind this chunk, counting shared times in full.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.times.len() + self.values.len() + self.starts.len()
    }
}

impl EncodedSeries {
    /// Codes one column each of floats and histograms as at most two chunks.
    pub fn encode(
        labels: Labels,
        floats: &FloatSamples,
        histograms: &HistogramSamples,
        term: u64,
        index: u64,
    ) -> Self {
        let chunks = EncodedChunk::from_floats(floats, term, index)
            .into_iter()
            .chain(EncodedChunk::from_histograms(histograms, term, index))
            .collect();
        Self { labels, chunks }
    }

    /// The samples in `range`, see [`crate::merge::merge_chunks`].
    pub fn decode(&self, range: TimeRange) -> Result<(FloatSamples, HistogramSamples)> {
        crate::merge::merge_chunks(&self.chunks, range)
    }

    /// Bytes of memory behind this series.
    pub fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(EncodedChunk::memory).sum();
        size_of::<Self>() + self.labels.memory() + chunks
    }
}
