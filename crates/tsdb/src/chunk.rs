//! A chunk on its own: its encoding, its bounds, its bytes.

use varve_model::{FloatSamples, HistogramSamples};

use crate::{ChunkError, float, histogram};

/// How the bytes of a chunk are to be read; the numbers are Prometheus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
}

impl Encoding {
    /// The encoding of this number; `None` for those that only Prometheus 3
    /// knows, and for what is none.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Xor, Self::Histogram, Self::FloatHistogram].into_iter().find(|e| *e as i32 == number)
    }
}

/// Coded samples of one series.
///
/// * at least one sample, times strictly increasing
/// * `min_time` and `max_time` are those of the first and the last sample, in
///   milliseconds since the epoch
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What the bytes are.
    pub encoding: Encoding,
    /// Time of the first sample.
    pub min_time: i64,
    /// Time of the last sample.
    pub max_time: i64,
    /// The coded samples.
    pub data: Vec<u8>,
}

/// The samples of a chunk.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// Of an XOR chunk.
    Floats(FloatSamples),
    /// Of either histogram chunk. The first sample of a counter has the hint
    /// `Unknown`, all others `NotCounterReset`, those of a gauge `Gauge`; a
    /// stale marker is a histogram without buckets.
    Histograms(HistogramSamples),
}

impl Chunk {
    /// Reads the samples.
    ///
    /// # Errors
    /// When the bytes are not what the encoding says.
    pub fn decode(&self) -> Result<Decoded, ChunkError> {
        match self.encoding {
            Encoding::Xor => float::decode(&self.data).map(Decoded::Floats),
            Encoding::Histogram => histogram::decode_int(&self.data).map(Decoded::Histograms),
            Encoding::FloatHistogram => {
                histogram::decode_float(&self.data).map(Decoded::Histograms)
            }
        }
    }
}
