//! Bit-packing of up to 128 numbers of one width, 0 to 64 bits.
//!
//! Value `i` lies at bit `i × width`, bits counted from the lowest of the first
//! byte. A full block of 128 is `16 × width` bytes; each width has code of
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

/// Unpacks `count` values from exactly their bytes and adds `reference` to
/// each; what lies behind the last value in `out` has no meaning.
#[inline]
pub(super) fn unpack(
    bytes: &[u8],
    count: usize,
    width: u32,
    reference: i64,
    out: &mut [i64; BLOCK],
) {
    if count <= FEW && bytes.len() <= 8 {
        let mut word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mask = mask(width);
        for out in &mut out[..count] {
            *out = ((word & mask) as i64).wrapping_add(reference);
            word = word.checked_shr(width).unwrap_or(0);
        }
        return;
    }
    UNPACK[width as usize](bytes, reference, out);
}

/// Up to so many values that fit a word do not take the way of whole blocks.
const FEW: usize = 8;

type Unpack = fn(&[u8], i64, &mut [i64; BLOCK]);

/// Value `i` of 64 that lie in `words`.
#[inline(always)]
fn value<const W: usize>(words: &[u64; W], i: usize) -> u64 {
    let (word, shift) = (i * W / 64, i * W % 64);
    let low = words[word] >> shift;
    let value = if shift + W > 64 { low | words[word + 1] << (64 - shift) } else { low };
    value & (u64::MAX >> (64 - W))
}

/// The words of 64 values, zeros where `bytes` ends.
#[inline(always)]
fn words<const W: usize>(bytes: &[u8]) -> [u64; W] {
    let (whole, rest) = bytes.as_chunks::<8>();
    if let Some(whole) = whole.first_chunk::<W>() {
        return whole.map(u64::from_le_bytes);
    }
    let mut words = [0u64; W];
    for (word, bytes) in words.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if let Some(word) = words.get_mut(whole.len()) {
        *word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

/// The two halves of a block, the second empty in a short one.
#[inline(always)]
fn halves<'a, const W: usize>(
    bytes: &'a [u8],
    out: &'a mut [i64; BLOCK],
) -> impl Iterator<Item = (&'a [u8], &'a mut [i64; 64])> {
    bytes.chunks(8 * W).zip(out.as_chunks_mut::<64>().0)
}

macro_rules! unrolled {
    ($out:ident, $words:ident, $reference:ident, $($i:literal)*) => {
        $($out[$i] = (value(&$words, $i) as i64).wrapping_add($reference);)*
    };
}

/// For narrow values: every shift is a constant.
#[rustfmt::skip]
fn narrow<const W: usize>(bytes: &[u8], reference: i64, out: &mut [i64; BLOCK]) {
    for (bytes, out) in halves::<W>(bytes, out) {
        let words = words::<W>(bytes);
        unrolled!(out, words, reference,
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63);
    }
}

/// For wide values, which are rare.
fn wide<const W: usize>(bytes: &[u8], reference: i64, out: &mut [i64; BLOCK]) {
    for (bytes, out) in halves::<W>(bytes, out) {
        let words = words::<W>(bytes);
        for (i, out) in out.iter_mut().enumerate() {
            *out = (value(&words, i) as i64).wrapping_add(reference);
        }
    }
}

/// Values of no bits.
fn none(_: &[u8], reference: i64, out: &mut [i64; BLOCK]) {
    out.fill(reference);
}

macro_rules! table {
    ($($narrow:literal)*; $($wide:literal)*) => {
        [none, $(narrow::<$narrow>,)* $(wide::<$wide>),*]
    };
}

#[rustfmt::skip]
const UNPACK: [Unpack; 65] = table!(
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24;
    25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55
    56 57 58 59 60 61 62 63 64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_round_trips() {
        for width in 0..=64 {
            for count in [0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128] {
                let values: Vec<u64> = (1..=count as u64)
                    .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width))
                    .collect();
                let mut bytes = Vec::new();
                pack(&values, width, &mut bytes);
                assert_eq!(bytes.len(), packed_len(count, width), "{count} of {width} bits");
                let mut out = [0; BLOCK];
                unpack(&bytes, count, width, -7, &mut out);
                let expected: Vec<i64> =
                    values.iter().map(|v| (*v as i64).wrapping_sub(7)).collect();
                assert_eq!(out[..count], expected, "{count} of {width} bits");
            }
        }
    }
}
