//! Numbers of varying width: ones and a zero choose how many bits follow.
//!
//! ```text
//! 0 → 0 │ 10 → 3 bits │ 110 → 6 │ 1110 → 9 │ 11110 → 12 │ 111110 → 18
//!       │ 1111110 → 25 │ 11111110 → 56 │ 11111111 → 64
//! ```
//!
//! A signed number of n bits is between −2ⁿ⁻¹ + 1 and 2ⁿ⁻¹, both included.

use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};

/// Bits of the number after so many ones.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether a signed number fits `bits` bits.
pub(crate) fn fits(value: i64, bits: u32) -> bool {
    let half = 1_i64 << (bits - 1);
    -half < value && value <= half
}

/// Undoes the cut to `bits` bits.
pub(crate) fn extend(value: u64, bits: u32) -> i64 {
    let wide = value as i64;
    if wide > 1 << (bits - 1) { wide - (1 << bits) } else { wide }
}

pub(crate) fn put_int(out: &mut BitWriter, value: i64) {
    let class = match value {
        0 => 0,
        _ => (1..8).find(|c| fits(value, WIDTHS[*c])).unwrap_or(8),
    };
    put(out, class, value as u64);
}

pub(crate) fn put_uint(out: &mut BitWriter, value: u64) {
    let class = (0..8).find(|c| value >> WIDTHS[*c] == 0).unwrap_or(8);
    put(out, class, value);
}

fn put(out: &mut BitWriter, class: usize, value: u64) {
    out.bits(u64::MAX, class as u32);
    if class < 8 {
        out.bits(0, 1);
    }
    out.bits(value, WIDTHS[class]);
}

pub(crate) fn int(bits: &mut BitReader<'_>) -> Result<i64, ChunkError> {
    let width = WIDTHS[bits.ones(8)? as usize];
    let value = bits.bits(width)?;
    Ok(if (1..64).contains(&width) { extend(value, width) } else { value as i64 })
}

pub(crate) fn uint(bits: &mut BitReader<'_>) -> Result<u64, ChunkError> {
    let width = WIDTHS[bits.ones(8)? as usize];
    bits.bits(width)
}
