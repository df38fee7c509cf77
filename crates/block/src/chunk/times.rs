//! Columns of timestamps.

use super::bits::{Cursor, opening, put_signed, put_varint};
use super::{ChunkError, MAX_CHUNK_SAMPLES};

/// Appends a column of timestamps; any `i64`s, cheap when regular.
pub fn encode_times(times: &[i64], out: &mut Vec<u8>) {
    assert!(times.len() <= MAX_CHUNK_SAMPLES, "chunk of {} samples", times.len());
    out.push(opening(0));
    put_varint(out, times.len() as u64);
    let mut last = 0i64;
    for &t in times {
        put_signed(out, t.wrapping_sub(last));
        last = t;
    }
}

/// Appends the timestamps of a column to `out`.
pub fn decode_times(bytes: &[u8], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    from.opening()?;
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    let mut last = 0i64;
    for _ in 0..count {
        last = last.wrapping_add(from.signed("time")?);
        out.push(last);
    }
    from.finish()
}

/// Appends the start timestamps of samples at `times`; none of them if `starts` is empty.
pub fn encode_starts(starts: &[i64], times: &[i64], out: &mut Vec<u8>) {
    if starts.is_empty() {
        return;
    }
    assert_eq!(starts.len(), times.len(), "one start for each time");
    encode_times(starts, out);
}

/// Appends start timestamps to `out`; none of them if `bytes` is empty.
pub fn decode_starts(bytes: &[u8], times: &[i64], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let before = out.len();
    decode_times(bytes, out)?;
    let found = out.len() - before;
    if found != times.len() {
        return Err(ChunkError::Count { found, expected: times.len() });
    }
    Ok(())
}
