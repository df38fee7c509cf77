//! The column of timestamps: a count and a stream of integers.

use super::bits::{Cursor, opening, put_varint};
use super::kernels::Kernels;
use super::{ChunkError, MAX_CHUNK_SAMPLES, check_len, ints, kind_error};

/// Appends a column of timestamps. They may be any `i64`s in any order; a
/// regular grid takes a dozen bytes whatever its length.
///
/// # Panics
///
/// With more than [`MAX_CHUNK_SAMPLES`].
pub fn encode_times(times: &[i64], out: &mut Vec<u8>) {
    check_len(times.len());
    out.push(opening(0));
    put_varint(out, times.len() as u64);
    ints::encode(times, out);
}

/// Appends the timestamps of a column to `out`. After an error `out` may hold
/// some of them.
pub fn decode_times(bytes: &[u8], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    let kind = from.opening()?;
    if kind != 0 {
        return Err(kind_error("kind of times", kind));
    }
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    out.reserve(count);
    ints::decode(Kernels::best(), &mut from, count, out)?;
    from.finish()
}
