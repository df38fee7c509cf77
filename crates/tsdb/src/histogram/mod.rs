//! Chunks of native histograms.
//!
//! ```text
//! samples (u16) │ reset (u8) │ layout │ first sample in full │ the others, each against the one before
//! ```
//!
//! [`layout`] holds what all samples of a chunk share, [`ints`] and [`floats`]
//! the two kinds of counts. A stale marker has its sum and no buckets.

mod floats;
mod ints;
mod layout;

use std::sync::Arc;

use varve_model::{Counts, Histogram, HistogramSamples, ResetHint};

use crate::bits::{BitReader, BitWriter};
use crate::{ChunkError, Encoding, varbit};

pub(crate) use floats::decode as decode_float;
pub(crate) use ints::decode as decode_int;
use layout::Layout;

/// A sample: its time and its value.
pub(crate) type Sample<'a> = (i64, &'a Histogram);

/// Memory that the histograms of one chunk may take: every one has spans and
/// bounds of its own, which the chunk holds once.
const MAX_DECODED: usize = 64 << 20;

/// What a chunk says of a reset before it, in the upper two bits of a byte.
fn reset_byte(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0b0000_0000,
        ResetHint::NotCounterReset => 0b0100_0000,
        ResetHint::CounterReset => 0b1000_0000,
        ResetHint::Gauge => 0b1100_0000,
    }
}

/// Codes histograms that go together (see [`crate::cut`]).
pub(crate) fn encode(run: &[Sample<'_>]) -> Result<(Encoding, Vec<u8>), ChunkError> {
    let count = (run.len() as u16).to_be_bytes();
    let hint = run.first().map_or(ResetHint::Unknown, |(_, h)| h.reset_hint);
    let mut out = BitWriter::after(&[count[0], count[1], reset_byte(hint)]);
    let float = run.first().is_some_and(|(_, h)| matches!(h.counts, Counts::Float { .. }));
    if float {
        floats::encode(run, &mut out)?;
        Ok((Encoding::FloatHistogram, out.finish()))
    } else {
        ints::encode(run, &mut out)?;
        Ok((Encoding::Histogram, out.finish()))
    }
}

/// Times as differences of differences; that of the first is its time itself.
#[derive(Default)]
struct Times {
    last: i64,
    step: i64,
}

impl Times {
    fn put_first(&mut self, out: &mut BitWriter, time: i64) {
        varbit::put_int(out, time);
        self.last = time;
    }

    fn put(&mut self, out: &mut BitWriter, time: i64) {
        let step = time.wrapping_sub(self.last);
        varbit::put_int(out, step.wrapping_sub(self.step));
        (self.last, self.step) = (time, step);
    }

    fn read_first(&mut self, bits: &mut BitReader<'_>) -> Result<i64, ChunkError> {
        self.last = varbit::int(bits)?;
        Ok(self.last)
    }

    fn read(&mut self, bits: &mut BitReader<'_>) -> Result<i64, ChunkError> {
        self.step = self.step.wrapping_add(varbit::int(bits)?);
        let next = self.last.wrapping_add(self.step);
        if next <= self.last {
            return Err(ChunkError::Times);
        }
        self.last = next;
        Ok(next)
    }
}

/// Gathers decoded samples of one chunk.
struct Gather {
    gauge: bool,
    layout: Layout,
    samples: HistogramSamples,
    memory: usize,
}

impl Gather {
    /// Reads the header and the layout; says how many samples there are.
    fn open<'a>(data: &'a [u8]) -> Result<(Self, u16, BitReader<'a>), ChunkError> {
        let (header, data) = data.split_first_chunk::<3>().ok_or(ChunkError::Truncated)?;
        let count = u16::from_be_bytes([header[0], header[1]]);
        let gauge = header[2] & 0b1100_0000 == reset_byte(ResetHint::Gauge);
        let mut bits = BitReader::new(data);
        let layout = if count == 0 { Layout::default() } else { Layout::read(&mut bits)? };
        let gather = Self { gauge, layout, samples: HistogramSamples::default(), memory: 0 };
        Ok((gather, count, bits))
    }

    fn push(&mut self, time: i64, sum: f64, counts: Counts) -> Result<(), ChunkError> {
        let reset_hint = match (self.gauge, self.samples.is_empty()) {
            (true, _) => ResetHint::Gauge,
            (false, true) => ResetHint::Unknown,
            (false, false) => ResetHint::NotCounterReset,
        };
        let h = if varve_model::is_stale(sum) {
            stale(&counts)
        } else {
            self.layout.histogram(sum, reset_hint, counts)
        };
        self.memory += h.memory();
        if self.memory > MAX_DECODED {
            return Err(ChunkError::TooLarge(MAX_DECODED));
        }
        self.samples.push(time, Arc::new(h), 0);
        Ok(())
    }
}

/// The marker that a series is gone, among counts of this kind.
fn stale(kind: &Counts) -> Histogram {
    let counts = match kind {
        Counts::Int { .. } => {
            Counts::Int { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() }
        }
        Counts::Float { .. } => {
            Counts::Float { count: 0.0, zero: 0.0, positive: Vec::new(), negative: Vec::new() }
        }
    };
    Layout::default().histogram(varve_model::stale_nan(), ResetHint::Unknown, counts)
}
