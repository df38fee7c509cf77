//! Cutting the samples of a series into chunks, in order of time.
//!
//! A chunk holds one kind of sample. Histograms of one chunk share a layout
//! (schema, zero threshold, bounds, spans), are all gauges or none, and show
//! no counter reset after the first: readers take all but the first for known
//! to follow without one.

use varve_model::{Counts, FloatSamples, Histogram, HistogramSamples, ResetHint};

use crate::histogram::{self, Sample};
use crate::{Chunk, ChunkError, Encoding, float};

/// Most samples of a chunk: what Prometheus cuts at.
pub const CHUNK_SAMPLES: usize = 120;

/// Codes the samples of one series, whose times no sample shares with one of
/// the other column. Start timestamps are left out: the formats have none.
///
/// A chunk is an error when a histogram's spans do not name its counts.
pub fn chunks<'a>(
    floats: &'a FloatSamples,
    histograms: &'a HistogramSamples,
) -> impl Iterator<Item = Result<Chunk, ChunkError>> + 'a {
    Cut { floats, histograms, float: 0, histogram: 0 }
}

struct Cut<'a> {
    floats: &'a FloatSamples,
    histograms: &'a HistogramSamples,
    /// What comes next of each column.
    float: usize,
    histogram: usize,
}

impl Iterator for Cut<'_> {
    type Item = Result<Chunk, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let float = self.floats.times.get(self.float).copied();
        let histogram = self.histograms.times.get(self.histogram).copied();
        match (float, histogram) {
            (None, None) => None,
            (Some(f), h) if h.is_none_or(|h| f < h) => Some(Ok(self.floats(h))),
            (f, _) => Some(self.histograms(f)),
        }
    }
}

impl Cut<'_> {
    /// A chunk of the floats before `until`.
    fn floats(&mut self, until: Option<i64>) -> Chunk {
        let from = self.float;
        let times = &self.floats.times[from..];
        let len = until.map_or(times.len(), |until| times.partition_point(|t| *t < until));
        let len = len.min(CHUNK_SAMPLES);
        self.float += len;
        let data = float::encode(&times[..len], &self.floats.values[from..from + len]);
        Chunk { encoding: Encoding::Xor, min_time: times[0], max_time: times[len - 1], data }
    }

    /// A chunk of the histograms before `until`, as long as they go together.
    fn histograms(&mut self, until: Option<i64>) -> Result<Chunk, ChunkError> {
        let column = self.histograms;
        let times = &column.times[self.histogram..];
        let values = &column.values[self.histogram..];
        let most = until.map_or(times.len(), |until| times.partition_point(|t| *t < until));
        let most = most.min(CHUNK_SAMPLES);
        let mut len = 1;
        while len < most && follows(&values[0], &values[len - 1], &values[len]) {
            len += 1;
        }
        self.histogram += len;
        let run: Vec<Sample<'_>> =
            times[..len].iter().zip(values).map(|(t, h)| (*t, &**h)).collect();
        let (encoding, data) = histogram::encode(&run)?;
        Ok(Chunk { encoding, min_time: times[0], max_time: times[len - 1], data })
    }
}

/// Whether `h` may stand behind `before` in a chunk that began with `first`.
fn follows(first: &Histogram, before: &Histogram, h: &Histogram) -> bool {
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let int = |h: &Histogram| matches!(h.counts, Counts::Int { .. });
    if gauge(first) != gauge(h) || int(first) != int(h) {
        return false;
    }
    if h.is_stale() || before.is_stale() {
        // A marker has no layout, so nothing but markers can follow it.
        return h.is_stale();
    }
    let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let same_layout = before.schema == h.schema
        && before.zero_threshold.to_bits() == h.zero_threshold.to_bits()
        && before.positive_spans == h.positive_spans
        && before.negative_spans == h.negative_spans
        && bits(&before.custom_bounds) == bits(&h.custom_bounds);
    same_layout && (gauge(h) || (h.reset_hint != ResetHint::CounterReset && grew(before, h)))
}

/// Whether no count fell; the layouts are the same.
fn grew(before: &Histogram, h: &Histogram) -> bool {
    fn all<T: PartialOrd>(before: &[T], now: &[T]) -> bool {
        // Not "less": what cannot be compared has not grown.
        before.len() == now.len() && before.iter().zip(now).all(|(a, b)| a <= b)
    }
    match (&before.counts, &h.counts) {
        (
            Counts::Int { count: a, zero: az, positive: ap, negative: an },
            Counts::Int { count: b, zero: bz, positive: bp, negative: bn },
        ) => a <= b && az <= bz && all(ap, bp) && all(an, bn),
        (
            Counts::Float { count: a, zero: az, positive: ap, negative: an },
            Counts::Float { count: b, zero: bz, positive: bp, negative: bn },
        ) => a <= b && az <= bz && all(ap, bp) && all(an, bn),
        _ => false,
    }
}
