//! Frames of `Store.Select`: series with coded chunks, and a dictionary of
//! the timestamp vectors that the chunks of one frame share.

use std::collections::HashMap;

use bytes::Bytes;
use varve_block::{ChunkKind, EncodedChunk, EncodedSeries};
use varve_model::Labels;
use varve_wire::{convert, v1};

use crate::QueryError;

/// About how many bytes a frame may hold before the next one is begun. One
/// series is never split, so a frame can be larger by one series.
pub const FRAME_BYTES: usize = 1 << 20;

/// Gathers series into frames of about [`FRAME_BYTES`].
#[derive(Default)]
pub struct FrameBuilder {
    frame: v1::SelectFrame,
    known: HashMap<Bytes, u32, foldhash::fast::RandomState>,
    /// The vector that was asked for last: neighbours often share theirs.
    last: Option<(Bytes, u32)>,
    bytes: usize,
}

impl FrameBuilder {
    /// A builder whose first frame carries the header.
    pub fn new(released_at: u64) -> Self {
        let header = Some(v1::SelectHeader { released_at });
        Self { frame: v1::SelectFrame { header, ..Default::default() }, ..Default::default() }
    }

    /// Adds one series; returns a frame when it is full.
    pub fn push(&mut self, series: EncodedSeries) -> Option<v1::SelectFrame> {
        self.bytes += series.labels.memory();
        let chunks = series.chunks.into_iter().map(|c| self.chunk(c)).collect();
        let labels = convert::labels(&series.labels);
        self.frame.series.push(v1::SeriesChunks { labels, chunks });
        (self.bytes >= FRAME_BYTES).then(|| self.take())
    }

    /// The last frame; also carries the header when there was no series.
    pub fn finish(mut self) -> Option<v1::SelectFrame> {
        let frame = self.take();
        (frame.header.is_some() || !frame.series.is_empty()).then_some(frame)
    }

    fn take(&mut self) -> v1::SelectFrame {
        self.known.clear();
        self.last = None;
        self.bytes = 0;
        std::mem::take(&mut self.frame)
    }

    fn chunk(&mut self, c: EncodedChunk) -> v1::Chunk {
        self.bytes += c.values.len() + c.starts.len() + 32;
        let same = |t: &Bytes| t.as_ptr() == c.times.as_ptr() && t.len() == c.times.len();
        let times = match &self.last {
            Some((last, at)) if same(last) => *at,
            _ => {
                let at = *self.known.entry(c.times.clone()).or_insert_with_key(|times| {
                    self.bytes += times.len();
                    self.frame.times.push(times.clone());
                    self.frame.times.len() as u32 - 1
                });
                self.last = Some((c.times, at));
                at
            }
        };
        let kind = match c.kind {
            ChunkKind::Float => v1::chunk::Kind::Float,
            ChunkKind::Histogram => v1::chunk::Kind::Histogram,
        };
        v1::Chunk {
            kind: kind.into(),
            min_time: c.min_time,
            max_time: c.max_time,
            times,
            values: c.values,
            starts: c.starts,
            term: c.term,
            index: c.index,
            count: c.count,
        }
    }
}

/// The series of a frame.
///
/// # Errors
/// When labels are not canonical, or a chunk refers to times that are not there.
pub fn read_frame(frame: v1::SelectFrame) -> Result<Vec<EncodedSeries>, QueryError> {
    let corrupt = |what: String| QueryError::new(varve_model::ErrorKind::Corrupt, what);
    let times = frame.times;
    let read_chunk = |c: v1::Chunk| {
        let kind = match c.kind() {
            v1::chunk::Kind::Float => ChunkKind::Float,
            v1::chunk::Kind::Histogram => ChunkKind::Histogram,
        };
        let times = times.get(c.times as usize).cloned();
        Ok(EncodedChunk {
            kind,
            min_time: c.min_time,
            max_time: c.max_time,
            count: c.count,
            times: times.ok_or_else(|| {
                corrupt(format!("frame has no timestamp vector {} for a chunk", c.times))
            })?,
            values: c.values,
            starts: c.starts,
            term: c.term,
            index: c.index,
        })
    };
    let read_series = |s: v1::SeriesChunks| {
        let labels: Labels = convert::read_labels(&s.labels)?;
        let chunks = s.chunks.into_iter().map(read_chunk).collect::<Result<_, QueryError>>()?;
        Ok(EncodedSeries { labels, chunks })
    };
    frame.series.into_iter().map(read_series).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use varve_model::{FloatSamples, HistogramSamples};

    #[test]
    fn series_survive_frames_and_share_their_times() {
        let series: Vec<EncodedSeries> = (0..5)
            .map(|i| {
                let labels = Labels::from_pairs([("a", i.to_string())]).expect("valid");
                let mut floats = FloatSamples::default();
                (0..10).for_each(|t| floats.push(t * 1000, f64::from(i), 0));
                EncodedSeries::encode(labels, &floats, &HistogramSamples::default(), 1, 2)
            })
            .collect();
        let mut builder = FrameBuilder::new(7);
        for s in series.clone() {
            assert!(builder.push(s).is_none());
        }
        let frame = builder.finish().expect("has series");
        assert_eq!(frame.header.map(|h| h.released_at), Some(7));
        assert_eq!(frame.times.len(), 1);
        assert_eq!(read_frame(frame).expect("valid"), series);
    }

    #[test]
    fn an_empty_answer_still_carries_its_header() {
        let frame = FrameBuilder::new(3).finish().expect("has a header");
        assert_eq!(frame.header.map(|h| h.released_at), Some(3));
    }

    #[test]
    fn a_chunk_without_its_times_is_refused() {
        let chunk = v1::Chunk { times: 1, ..Default::default() };
        let series = vec![v1::SeriesChunks { labels: Bytes::new(), chunks: vec![chunk] }];
        let frame = v1::SelectFrame { series, times: vec![Bytes::new()], ..Default::default() };
        assert!(read_frame(frame).is_err());
    }
}
