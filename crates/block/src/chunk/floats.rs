//! Columns of floats.

use super::bits::{Cursor, opening, put_varint};
use super::{ChunkError, MAX_CHUNK_SAMPLES};

/// Appends a column of floats, bit exact.
pub fn encode_floats(values: &[f64], out: &mut Vec<u8>) {
    assert!(values.len() <= MAX_CHUNK_SAMPLES, "chunk of {} samples", values.len());
    out.push(opening(0));
    put_varint(out, values.len() as u64);
    for v in values {
        out.extend(v.to_bits().to_le_bytes());
    }
}

/// Appends the floats of a column to `out`.
pub fn decode_floats(bytes: &[u8], out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    from.opening()?;
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    for _ in 0..count {
        out.push(f64::from_bits(from.word("value")?));
    }
    from.finish()
}
