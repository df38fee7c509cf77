//! Merging the chunks of one series into two columns of samples.
//!
//! Overlap is normal input: late cuts, replicas, compaction that is not done
//! yet. At equal times the chunk with the lowest (term, index) wins, whichever
//! kind its sample is, so that every reader sees the same answer.

mod times;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use varve_model::{FloatSamples, Histogram, HistogramSamples, ResetHint, TimeRange};

use self::times::KnownTimes;
use crate::{BlockError, ChunkKind, EncodedChunk, Result, chunk};

/// A decoded chunk, cut to the range: `times[at..]` is yet to be merged.
struct Cursor {
    times: Vec<i64>,
    values: Values,
    starts: Vec<i64>,
    at: usize,
    end: usize,
}

enum Values {
    Floats(Vec<f64>),
    Histograms(Vec<Arc<Histogram>>),
}

/// Decodes chunks of **one** series and merges them by time into columns that
/// hold the samples in `range`. At equal times the lowest (term, index) wins,
/// among equals the first in `chunks`; a time is never in both columns.
///
/// Reset hints of a chunk hold between neighbours of it. Over a seam the two
/// histograms are compared; where there was a reset, or one is not there, the
/// hint is `Unknown`, gauges aside. The beginning of the range is no seam: what
/// is known of a reset before the first wanted sample is told, as Prometheus'
/// storage tells it.
pub fn merge_chunks<'a>(
    chunks: impl IntoIterator<Item = &'a EncodedChunk, IntoIter: Clone>,
    range: TimeRange,
) -> Result<(FloatSamples, HistogramSamples)> {
    Merger::default().merge(chunks, range)
}

/// Merges one series after another: [`merge_chunks`] for many, of which
/// neighbours share vectors of times.
#[derive(Default)]
pub struct Merger {
    times: KnownTimes,
}

impl Merger {
    /// See [`merge_chunks`].
    pub fn merge<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = &'a EncodedChunk, IntoIter: Clone>,
        range: TimeRange,
    ) -> Result<(FloatSamples, HistogramSamples)> {
        let chunks = chunks.into_iter();
        let wanted = chunks.clone().filter(|c| c.overlaps(&range));
        let mut merged = (FloatSamples::default(), HistogramSamples::default());
        if self.in_line(wanted.clone(), range, &mut merged.0)? {
            return Ok(merged);
        }
        let wanted: Vec<&EncodedChunk> = wanted.collect();
        if !wanted.is_sorted_by_key(|c| c.min_time) {
            let mut by_time = wanted.clone();
            by_time.sort_by_key(|c| c.min_time);
            if self.in_line(by_time.into_iter(), range, &mut merged.0)? {
                return Ok(merged);
            }
        }
        self.overlapping(chunks, wanted, range)
    }

    /// Merges `wanted` ones of the chunks, whatever they are, sample by sample.
    fn overlapping<'a>(
        &mut self,
        chunks: impl Iterator<Item = &'a EncodedChunk>,
        mut wanted: Vec<&EncodedChunk>,
        range: TimeRange,
    ) -> Result<(FloatSamples, HistogramSamples)> {
        wanted.sort_by_key(|c| (c.term, c.index));
        let mut cursors = Vec::with_capacity(wanted.len());
        for chunk in wanted {
            cursors.push(Cursor::open(chunk, range, &mut self.times)?);
        }
        let total: usize = cursors.iter().map(|c| c.end - c.at).sum();
        let (mut floats, mut histograms) = (FloatSamples::default(), HistogramSamples::default());
        if let [only] = cursors.as_slice() {
            match only.values {
                Values::Floats(_) => floats.times.reserve(total),
                Values::Histograms(_) => histograms.times.reserve(total),
            }
        }

        let mut heap: BinaryHeap<Reverse<(i64, usize)>> = cursors
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some(Reverse((c.next_time()?, i))))
            .collect();
        let (mut last, mut before) = before_range(chunks, &cursors, range)?;
        while let Some(Reverse((time, i))) = heap.pop() {
            let cursor = &mut cursors[i];
            if last.is_none_or(|(taken, _, _)| taken < time) {
                // As long as no other chunk comes in between, no heap is needed.
                let limit = heap.peek().map_or(i64::MAX, |Reverse((t, _))| *t);
                loop {
                    let follows = last.is_some_and(|(_, c, p)| c == i && p + 1 == cursor.at);
                    last = Some((cursor.times[cursor.at], i, cursor.at));
                    cursor.take(follows, &mut before, &mut floats, &mut histograms);
                    if cursor.next_time().is_none_or(|t| t >= limit) {
                        break;
                    }
                }
            } else {
                cursor.at += 1;
            }
            if let Some(next) = cursor.next_time() {
                heap.push(Reverse((next, i)));
            }
        }
        Ok((floats, histograms))
    }

    /// The frequent case: floats without start timestamps whose chunks follow each
    /// other are decoded to where they are wanted. False if they are anything else;
    /// what is in `out` then has no meaning.
    fn in_line<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a EncodedChunk> + Clone,
        range: TimeRange,
        out: &mut FloatSamples,
    ) -> Result<bool> {
        let (mut last, mut total) = (None, 0);
        for chunk in wanted.clone() {
            let follows = last.is_none_or(|last| last < chunk.min_time);
            if !follows || chunk.kind != ChunkKind::Float || !chunk.starts.is_empty() {
                return Ok(false);
            }
            last = Some(chunk.max_time);
            total += chunk.count as usize;
        }
        // What chunks claim to hold is believed up to a point.
        let total = total.min(chunk::MAX_CHUNK_SAMPLES);
        out.times = Vec::with_capacity(total);
        out.values = Vec::with_capacity(total);
        for chunk in wanted {
            let (seam, count) = (out.times.len(), chunk.count as usize);
            self.times.append(chunk, &mut out.times)?;
            if seam > 0 && out.times.get(seam).is_some_and(|t| *t <= out.times[seam - 1]) {
                // The bounds beside the chunks are not those of their times.
                return Ok(false);
            }
            chunk::decode_floats(&chunk.values, &mut out.values)?;
            check("values", out.values.len() - seam, count)?;
        }
        // Most often all samples are wanted.
        if out.times.last().is_some_and(|t| *t > range.end) {
            let end = out.times.partition_point(|t| *t <= range.end);
            out.times.truncate(end);
            out.values.truncate(end);
        }
        if out.times.first().is_some_and(|t| *t <= range.start) {
            let start = out.times.partition_point(|t| *t <= range.start);
            out.times.drain(..start);
            out.values.drain(..start);
        }
        Ok(true)
    }
}

impl Cursor {
    fn open(chunk: &EncodedChunk, range: TimeRange, known: &mut KnownTimes) -> Result<Self> {
        let count = chunk.count as usize;
        let mut times = Vec::new();
        known.append(chunk, &mut times)?;
        let mut starts = Vec::new();
        if !chunk.starts.is_empty() {
            chunk::decode_starts(&chunk.starts, &times, &mut starts)?;
            check("start timestamps", starts.len(), count)?;
        }
        let values = match chunk.kind {
            ChunkKind::Float => {
                let mut values = Vec::new();
                chunk::decode_floats(&chunk.values, &mut values)?;
                check("values", values.len(), count)?;
                Values::Floats(values)
            }
            ChunkKind::Histogram => {
                let mut values = Vec::new();
                chunk::decode_histograms(&chunk.values, &mut values)?;
                check("histograms", values.len(), count)?;
                Values::Histograms(values)
            }
        };
        let at = times.partition_point(|t| *t <= range.start);
        let end = times.partition_point(|t| *t <= range.end).max(at);
        Ok(Self { times, values, starts, at, end })
    }

    fn next_time(&self) -> Option<i64> {
        (self.at < self.end).then(|| self.times[self.at])
    }

    /// Moves the next sample to its column; `follows` when its predecessor in
    /// this chunk is the last sample that was taken from any, `before` that
    /// sample if it is a histogram.
    fn take(
        &mut self,
        follows: bool,
        before: &mut Option<Arc<Histogram>>,
        floats: &mut FloatSamples,
        hists: &mut HistogramSamples,
    ) {
        let (i, time) = (self.at, self.times[self.at]);
        let start = self.starts.get(i).copied().unwrap_or(0);
        self.at += 1;
        match &self.values {
            Values::Floats(values) => {
                floats.push(time, values[i], start);
                *before = None;
            }
            Values::Histograms(values) => {
                let mut value = Arc::clone(&values[i]);
                if !follows {
                    let hint = over_seam(before.as_deref(), &value);
                    if hint != value.reset_hint {
                        Arc::make_mut(&mut value).reset_hint = hint;
                    }
                }
                *before = Some(Arc::clone(&value));
                hists.push(time, value, start);
            }
        }
    }
}

/// (time, cursor, position) of a sample.
type Place = (i64, usize, usize);

/// The sample that stands just before the range, as far as the chunks tell:
/// its place when its chunk goes on in the range, and what it is when it is a
/// histogram.
fn before_range<'a>(
    chunks: impl Iterator<Item = &'a EncodedChunk>,
    cursors: &[Cursor],
    range: TimeRange,
) -> Result<(Option<Place>, Option<Arc<Histogram>>)> {
    let place = |(i, c): (usize, &Cursor)| {
        let position = c.at.checked_sub(1)?;
        Some((c.times[position], Reverse(i), position))
    };
    let place = cursors.iter().enumerate().filter_map(place).max();
    let place = place.map(|(time, Reverse(i), position)| (time, i, position));
    let ended = chunks.filter(|c| c.max_time <= range.start);
    let ended = ended.max_by_key(|c| (c.max_time, Reverse((c.term, c.index))));
    match (ended, place) {
        (Some(chunk), place) if place.is_none_or(|(time, ..)| time < chunk.max_time) => {
            let asked = cursors.iter().any(|c| matches!(c.values, Values::Histograms(_)));
            if !asked || chunk.kind != ChunkKind::Histogram {
                return Ok((None, None));
            }
            let mut values = Vec::new();
            chunk::decode_histograms(&chunk.values, &mut values)?;
            Ok((None, values.pop()))
        }
        (_, Some((_, i, position))) => {
            let histogram = match &cursors[i].values {
                Values::Histograms(values) => values.get(position).cloned(),
                Values::Floats(_) => None,
            };
            Ok((place, histogram))
        }
        (_, None) => Ok((None, None)),
    }
}

/// The hint of a histogram whose predecessor is in another chunk: where both
/// are read, whether there was no reset is found out by comparing them, so
/// that it does not matter where chunks end.
fn over_seam(before: Option<&Histogram>, h: &Histogram) -> ResetHint {
    match chunk::verdict(before, h) {
        ResetHint::CounterReset => ResetHint::Unknown,
        hint => hint,
    }
}

fn check(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(BlockError::corrupt("chunk", format!("{found} {what} for {expected} samples")))
}

#[cfg(test)]
mod tests;
