//! Snappy blocks, with the decoded length checked before room is made.

use super::DecodeError;

/// No snappy block expands further: a copy of 64 bytes takes 3 (or 2 for 11).
const MAX_EXPANSION: usize = 22;

/// How long a body is once decompressed, by its header; cheap.
///
/// # Errors
/// `TooLarge` when that is more than `limit` bytes, `Snappy` when the header
/// is damaged or says what the body cannot hold.
pub fn decompressed_len(body: &[u8], limit: usize) -> Result<usize, DecodeError> {
    let bad = |e: &dyn std::fmt::Display| DecodeError::Snappy(e.to_string());
    let got = snap::raw::decompress_len(body).map_err(|e| bad(&e))?;
    if got > limit {
        return Err(DecodeError::TooLarge { got: got as u64, limit });
    }
    if got / MAX_EXPANSION > body.len() {
        let (n, of) = (got, body.len());
        return Err(bad(&format!("{of} bytes cannot hold the {n} that the header claims")));
    }
    Ok(got)
}

/// Decompresses the body of a request.
///
/// # Errors
/// As [`decompressed_len`], and `Snappy` when what follows is damaged.
pub fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    decompressed_len(body, limit)?;
    let decompressed = snap::raw::Decoder::new().decompress_vec(body);
    decompressed.map_err(|e| DecodeError::Snappy(e.to_string()))
}
