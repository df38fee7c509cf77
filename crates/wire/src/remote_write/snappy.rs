//! Snappy blocks, with the decoded length checked before room is made.

use super::DecodeError;

/// No snappy block expands further: a copy of 64 bytes takes 3 (or 2 for 11).
const MAX_EXPANSION: usize = 22;

/// Decompresses the body of a request.
///
/// # Errors
/// `TooLarge` when it says to be longer than `limit` bytes, `Snappy` when it
/// is damaged or says what its length cannot hold.
pub fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let bad = |e: &dyn std::fmt::Display| DecodeError::Snappy(e.to_string());
    let got = snap::raw::decompress_len(body).map_err(|e| bad(&e))?;
    if got > limit {
        return Err(DecodeError::TooLarge { got: got as u64, limit });
    }
    if got / MAX_EXPANSION > body.len() {
        let (n, of) = (got, body.len());
        return Err(bad(&format!("{of} bytes cannot hold the {n} that the header claims")));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|e| bad(&e))
}
