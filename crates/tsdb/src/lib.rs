//! Prometheus' own chunk formats: XOR, histogram and float histogram, the
//! three that every reader from Prometheus 2.40 on and Thanos understand.
//!
//! [`chunks`] cuts the samples of a series into [`Chunk`]s, [`Chunk::decode`]
//! reads one back. What Varve keeps in its bucket is coded otherwise (see
//! `varve-block`); these bytes are for the wire. The formats carry no start
//! timestamps. The layouts are drawn in docs/formats/tsdb-chunk.md.

mod bits;
mod chunk;
mod cut;
mod error;
mod float;
mod histogram;
mod varbit;
mod xor;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, Decoded, Encoding};
pub use cut::{CHUNK_SAMPLES, chunks};
pub use error::ChunkError;
