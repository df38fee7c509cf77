//! The chunk codec: times, values and start timestamps of one series of one
//! window, as bytes and back.
//!
//! Every column is self-describing, opens with a version, and is bit exact
//! for every `f64` and every histogram (reset hints excepted). The byte layout
//! is drawn in `docs/formats/chunk.md`; all columns become integers first.

mod bits;
mod error;
mod floats;
mod histogram;
mod times;

pub use error::ChunkError;
pub use floats::{decode_floats, encode_floats};
pub use histogram::{decode_histograms, encode_histograms};
pub use times::{decode_starts, decode_times, encode_starts, encode_times};

/// The most samples a chunk holds. Encoders panic above it, as a caller that
/// does not split at a window's end is at fault; decoders return an error.
pub const MAX_CHUNK_SAMPLES: usize = 1 << 20;

/// The version of the layouts written here, in the high nibble of the first byte.
const VERSION: u8 = 1;
