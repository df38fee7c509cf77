//! Frames of `Store.Select`: parts of an answer on the wire, with a dictionary
//! of the timestamp vectors that the chunks of one frame share.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use varve_block::{ChunkKind, EncodedChunk, EncodedSeries};
use varve_model::Labels;
use varve_wire::{convert, v1};

use crate::QueryError;
use crate::near::SelectPart;
use crate::stream::Frames;

/// The parts of an answer as frames, each made when it is asked for.
pub fn written(parts: Frames<SelectPart>) -> BoxStream<'static, Result<v1::SelectFrame, Status>> {
    ReceiverStream::new(parts).map_ok(write_frame).boxed()
}

/// The frame of a part.
pub fn write_frame(part: SelectPart) -> v1::SelectFrame {
    let mut times = Times::default();
    let series = part.series.into_iter().map(|series| v1::SeriesChunks {
        labels: convert::labels(&series.labels),
        chunks: series.chunks.into_iter().map(|c| write_chunk(c, &mut times)).collect(),
    });
    let series = series.collect();
    let header = Some(v1::SelectHeader { released_at: part.released_at });
    v1::SelectFrame { header, times: times.all, series }
}

fn write_chunk(c: EncodedChunk, times: &mut Times) -> v1::Chunk {
    let kind = match c.kind {
        ChunkKind::Float => v1::chunk::Kind::Float,
        ChunkKind::Histogram => v1::chunk::Kind::Histogram,
    };
    v1::Chunk {
        kind: kind.into(),
        min_time: c.min_time,
        max_time: c.max_time,
        times: times.place(c.times),
        values: c.values,
        starts: c.starts,
        term: c.term,
        index: c.index,
        count: c.count,
    }
}

/// The timestamp vectors of a frame, each once.
#[derive(Default)]
struct Times {
    all: Vec<Bytes>,
    known: HashMap<Bytes, u32, foldhash::fast::RandomState>,
    /// The vector that was asked for last: neighbours often share theirs.
    last: Option<(Bytes, u32)>,
}

impl Times {
    fn place(&mut self, times: Bytes) -> u32 {
        let same = |t: &Bytes| t.as_ptr() == times.as_ptr() && t.len() == times.len();
        if let Some((_, at)) = self.last.as_ref().filter(|(last, _)| same(last)) {
            return *at;
        }
        let at = *self.known.entry(times.clone()).or_insert_with_key(|times| {
            self.all.push(times.clone());
            self.all.len() as u32 - 1
        });
        self.last = Some((times, at));
        at
    }
}

/// The part of a frame.
///
/// # Errors
/// When labels are not canonical, or a chunk refers to times that are not there.
pub fn read_frame(frame: v1::SelectFrame) -> Result<SelectPart, QueryError> {
    let corrupt = |what: String| QueryError::new(varve_model::ErrorKind::Corrupt, what);
    let released_at = frame.header.map_or(0, |h| h.released_at);
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
        Ok::<_, QueryError>(EncodedSeries { labels, chunks })
    };
    let series = frame.series.into_iter().map(read_series).collect::<Result<_, _>>()?;
    Ok(SelectPart { released_at, series })
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
        let part = |series| SelectPart { released_at: 7, series };
        let frame = write_frame(part(series.clone()));
        assert_eq!(frame.times.len(), 1);
        assert_eq!(read_frame(frame).expect("valid"), part(series));
    }

    #[test]
    fn a_chunk_without_its_times_is_refused() {
        let chunk = v1::Chunk { times: 1, ..Default::default() };
        let series = vec![v1::SeriesChunks { labels: Bytes::new(), chunks: vec![chunk] }];
        let frame = v1::SelectFrame { series, times: vec![Bytes::new()], ..Default::default() };
        assert!(read_frame(frame).is_err());
    }
}
