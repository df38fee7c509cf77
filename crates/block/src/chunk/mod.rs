//! The chunk codec: times, values and start timestamps of one series of one
//! window, as bytes and back.
//!
//! Every column is self-describing, opens with a version, and is bit exact
//! for every `f64` and every histogram (reset hints excepted). The byte layout
//! is drawn in `docs/formats/chunk.md`; all columns become integers first.

mod bits;
mod block;
mod choose;
mod decimal;
mod error;
mod floats;
mod histogram;
mod ints;
mod kernels;
mod pack;
mod recent;
mod runs;
mod starts;
mod times;

pub use error::ChunkError;
pub use floats::{decode_floats, encode_floats};
pub(crate) use histogram::verdict;
pub use histogram::{decode_histograms, encode_histograms};
pub use recent::decode_increasing_times;
pub use starts::{decode_starts, encode_starts};
pub use times::{decode_times, encode_times};

/// The most samples a chunk holds. Encoders panic above it, as a caller that
/// does not split at a window's end is at fault; decoders return an error.
pub const MAX_CHUNK_SAMPLES: usize = 1 << 20;

/// The version of the layouts written here, in the high nibble of the first byte.
const VERSION: u8 = 1;

/// Panics on more samples than a chunk may hold.
fn check_len(len: usize) {
    assert!(len <= MAX_CHUNK_SAMPLES, "a chunk holds at most {MAX_CHUNK_SAMPLES} samples: {len}");
}

/// The error for a kind byte that has no meaning.
fn kind_error(field: &'static str, value: u8) -> ChunkError {
    ChunkError::Field { field, value: value.into() }
}

#[cfg(test)]
mod tests;
