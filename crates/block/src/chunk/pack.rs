//! Bit-packing of up to 128 numbers of one width, 0 to 64 bits.
//!
//! Value `i` lies at bit `i × width`, bits counted from the lowest of the first
//! byte. A full block of 128 is `16 × width` bytes; each width has a loop of
//! its own, in which every shift is a constant. A shorter block is the same
//! cut off at the byte that holds its last bit.

/// Values in a full block.
pub(super) const BLOCK: usize = 128;

/// The bytes of `count` values of `width` bits.
pub(super) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The low `width` bits.
pub(super) fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

/// Appends `values`, none of which needs more than `width` bits.
pub(super) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut fill) = (0u64, 0);
    for &value in values {
        word |= value << fill;
        fill += width;
        if fill >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            fill -= 64;
            // What did not fit: the high `fill` bits of the value.
            word = value.checked_shr(width - fill).unwrap_or(0);
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..fill.div_ceil(8) as usize]);
}

/// Unpacks a block from exactly its bytes; what lies behind its last value in
/// `out` is left undefined (but is never uninitialised).
pub(super) fn unpack(bytes: &[u8], width: u32, out: &mut [u64; BLOCK]) {
    if bytes.len() == width as usize * BLOCK / 8 {
        UNPACK[width as usize](bytes, out);
        return;
    }
    let mut padded = [0u8; BLOCK * 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    UNPACK[width as usize](&padded[..width as usize * BLOCK / 8], out);
}

/// Unpacks a full block of `16 × W` bytes.
fn unpack_full<const W: usize>(bytes: &[u8], out: &mut [u64; BLOCK]) {
    let mask = mask(W as u32);
    let halves = bytes.chunks_exact(8 * W).zip(out.as_chunks_mut::<64>().0);
    for (bytes, out) in halves {
        let mut words = [0u64; W];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        for (i, out) in out.iter_mut().enumerate() {
            let (word, shift) = (i * W / 64, i * W % 64);
            let mut value = words[word] >> shift;
            if shift + W > 64 {
                value |= words[word + 1] << (64 - shift);
            }
            *out = value & mask;
        }
    }
}

/// A block of no bits.
fn zeros(_: &[u8], out: &mut [u64; BLOCK]) {
    out.fill(0);
}

type Unpack = fn(&[u8], &mut [u64; BLOCK]);

macro_rules! table {
    ($($width:literal)*) => { [zeros, $(unpack_full::<$width>),*] };
}

#[rustfmt::skip]
const UNPACK: [Unpack; 65] = table!(
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_round_trips() {
        for width in 0..=64 {
            for count in [0, 1, 2, 7, 63, 64, 65, 127, 128] {
                let values: Vec<u64> = (1..=count as u64)
                    .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width))
                    .collect();
                let mut bytes = Vec::new();
                pack(&values, width, &mut bytes);
                assert_eq!(bytes.len(), packed_len(count, width), "{count} of {width} bits");
                let mut out = [0; BLOCK];
                unpack(&bytes, width, &mut out);
                assert_eq!(out[..count], values, "{count} of {width} bits");
            }
        }
    }
}
