//! The loops with 256-bit vectors: four integers or floats at a time, eight a
//! round.
//!
//! `kernel!` proves that the machine has the instructions, so that intrinsics
//! are safe to call; functions of this module that it calls are compiled with the
//! same features.

use std::arch::x86_64::*;

use fearless_simd::prelude::*;
use fearless_simd::{Avx2, f64x4, i32x8, i64x4, kernel, u8x16, u8x32, u32x8, u64x4};

use super::super::pack::{self, BLOCK};
use super::{NarrowSlope, Scale, plain};

/// The widest values that [`unpack`] takes: four of them, from any half byte
/// on, lie in 16 bytes.
pub(super) const WIDEST: u32 = 31;
/// Integers of a round.
const ROUND: usize = 8;
/// Bytes that a round looks at, of which 16 and 16 that begin half a round later
/// are its own.
const REACH: usize = 32;

/// How rounds of one width are taken apart, each half of four values.
struct Wide {
    /// The eight bytes from where a value begins, for each value.
    shuffle: [[u8; 32]; 2],
    /// At which of their bits it begins.
    shift: [[u64; 4]; 2],
}

/// For each width; 0 is not used.
static WIDE: [Wide; WIDEST as usize + 1] = {
    let mut widths = [const { Wide { shuffle: [[0x80; 32]; 2], shift: [[0; 4]; 2] } }; 32];
    let mut width = 1;
    while width <= WIDEST as usize {
        let mut value = 0;
        while value < ROUND {
            let (half, lane) = (value / 4, value % 4);
            // From the byte that the half begins in.
            let bit = value * width - 8 * (half * width / 2);
            widths[width].shift[half][lane] = (bit % 8) as u64;
            let mut byte = 0;
            while byte < 8 && bit / 8 + byte < 16 {
                widths[width].shuffle[half][8 * lane + byte] = (bit / 8 + byte) as u8;
                byte += 1;
            }
            value += 1;
        }
        width += 1;
    }
    widths
};

/// The same for narrow values, of 32 bits each.
struct Narrow {
    shuffle: [u8; 32],
    shift: [u32; ROUND],
}

/// For each width; 0 is not used.
static WIDTHS: [Narrow; super::NARROW as usize + 1] = {
    let mut widths = [const { Narrow { shuffle: [0x80; 32], shift: [0; 8] } }; 26];
    let mut width = 1;
    while width <= super::NARROW as usize {
        let mut value = 0;
        while value < ROUND {
            let bit = value * width - 8 * (value / 4 * width / 2);
            widths[width].shift[value] = (bit % 8) as u32;
            let mut byte = 0;
            while byte < 4 && bit / 8 + byte < 16 {
                widths[width].shuffle[4 * value + byte] = (bit / 8 + byte) as u8;
                byte += 1;
            }
            value += 1;
        }
        width += 1;
    }
    widths
};

kernel! {
    /// See [`super::Kernels::unpack_narrow`]; widths from 1 to [`super::NARROW`].
    pub(super) fn unpack_narrow(
        avx2: Avx2,
        bytes: &[u8],
        len: usize,
        width: u32,
        reference: i32,
        block: &mut [i32; BLOCK],
    ) {
        let width = (width as usize).min(WIDTHS.len() - 1);
        let Narrow { shuffle, shift } = &WIDTHS[width];
        let shuffle: __m256i = u8x32::simd_from(avx2, *shuffle).into();
        let shift: __m256i = u32x8::simd_from(avx2, *shift).into();
        let mask = _mm256_set1_epi32(pack::mask(width as u32) as i32);
        let reference = _mm256_set1_epi32(reference);
        let half = width / 2;
        let value = |low: __m128i, high: __m128i| -> [i32; ROUND] {
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
            let bytes = _mm256_shuffle_epi8(both, shuffle);
            let value = _mm256_and_si256(_mm256_srlv_epi32(bytes, shift), mask);
            i32x8::simd_from(avx2, _mm256_add_epi32(value, reference)).into()
        };
        let rounds = &mut block.as_chunks_mut::<ROUND>().0[..len.div_ceil(ROUND)];
        let whole = whole_rounds(bytes, width).min(rounds.len());
        let (whole, rest) = rounds.split_at_mut(whole);
        let mut copy = [0; 2 * REACH];
        if !rest.is_empty() {
            // Fewer than REACH bytes are left.
            let left = &bytes[whole.len() * width..];
            copy[..left.len()].copy_from_slice(left);
        }
        for (mut from, rounds) in [(bytes, whole), (copy.as_slice(), rest)] {
            for out in rounds {
                let Some(window) = from.first_chunk::<REACH>() else { break };
                let (low, high) = (&window[..16], &window[half..half + 16]);
                let low: __m128i = u8x16::from_slice(avx2, low).into();
                let high: __m128i = u8x16::from_slice(avx2, high).into();
                *out = value(low, high);
                from = &from[width..];
            }
        }
    }
}

kernel! {
    /// See [`super::Kernels::sums_narrow`]. Sums of four are made first, by steps
    /// that do not wait for what came before the round.
    pub(super) fn sums_narrow(avx2: Avx2, block: &mut [i32; BLOCK], len: usize) {
        let mut carry = _mm256_setzero_si256();
        for round in &mut block.as_chunks_mut::<ROUND>().0[..len.div_ceil(ROUND)] {
            let x: __m256i = i32x8::simd_from(avx2, *round).into();
            let x = _mm256_add_epi32(x, _mm256_slli_si256::<4>(x));
            let x = _mm256_add_epi32(x, _mm256_slli_si256::<8>(x));
            // All of the lower four, all of the upper four; and crossed.
            let fours = _mm256_shuffle_epi32::<0b1111_1111>(x);
            let crossed = _mm256_permute4x64_epi64::<0b0100_1110>(fours);
            let above = _mm256_blend_epi32::<0b1111_0000>(_mm256_setzero_si256(), crossed);
            let sums = _mm256_add_epi32(_mm256_add_epi32(x, above), carry);
            carry = _mm256_add_epi32(carry, _mm256_add_epi32(fours, crossed));
            *round = i32x8::simd_from(avx2, sums).into();
        }
    }
}

kernel! {
    /// See [`super::Kernels::line_narrow`].
    pub(super) fn line_narrow(
        avx2: Avx2,
        block: &mut [i32; BLOCK],
        len: usize,
        slope: NarrowSlope,
    ) {
        plain::line_narrow(block, len, slope);
    }
}

kernel! {
    /// See [`super::Kernels::floats_narrow`].
    pub(super) fn floats_narrow(
        avx2: Avx2,
        block: &[i32; BLOCK],
        len: usize,
        base: f64,
        factor: f64,
        out: &mut Vec<f64>,
    ) {
        plain::floats_fused(block, len, base, factor, out);
    }
}

kernel! {
    /// See [`super::Kernels::decimals_narrow`].
    pub(super) fn decimals_narrow(
        avx2: Avx2,
        block: &[i32; BLOCK],
        len: usize,
        base: f64,
        factor: f64,
        scale: Scale,
        out: &mut Vec<f64>,
    ) {
        plain::decimals_fused(block, len, base, factor, scale, out);
    }
}

kernel! {
    /// See [`super::Kernels::unpack`]; widths from 1 to [`WIDEST`].
    pub(super) fn unpack(
        avx2: Avx2,
        bytes: &[u8],
        len: usize,
        width: u32,
        reference: i64,
        block: &mut [i64; BLOCK],
    ) {
        let width = (width as usize).min(WIDE.len() - 1);
        let half = width / 2;
        let Wide { shuffle, shift } = &WIDE[width];
        let shuffle: [__m256i; 2] = shuffle.map(|s| u8x32::simd_from(avx2, s).into());
        let shift: [__m256i; 2] = shift.map(|s| u64x4::simd_from(avx2, s).into());
        let mask = _mm256_set1_epi64x(pack::mask(width as u32) as i64);
        let reference = _mm256_set1_epi64x(reference);
        let value = |from: __m128i, half: usize| -> __m256i {
            let bytes = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(from), shuffle[half]);
            let value = _mm256_and_si256(_mm256_srlv_epi64(bytes, shift[half]), mask);
            _mm256_add_epi64(value, reference)
        };
        let rounds = &mut block.as_chunks_mut::<ROUND>().0[..len.div_ceil(ROUND)];
        let whole = whole_rounds(bytes, width).min(rounds.len());
        let (whole, rest) = rounds.split_at_mut(whole);
        let mut copy = [0; 2 * REACH];
        if !rest.is_empty() {
            // Fewer than REACH bytes are left.
            let left = &bytes[whole.len() * width..];
            copy[..left.len()].copy_from_slice(left);
        }
        for (mut from, rounds) in [(bytes, whole), (copy.as_slice(), rest)] {
            for out in rounds {
                let Some(window) = from.first_chunk::<REACH>() else { break };
                let (low, high) = (&window[..16], &window[half..half + 16]);
                let low: __m128i = u8x16::from_slice(avx2, low).into();
                let high: __m128i = u8x16::from_slice(avx2, high).into();
                store(avx2, value(low, 0), value(high, 1), out);
                from = &from[width..];
            }
        }
    }
}

kernel! {
    /// See [`super::Kernels::sums`]. Pairs are summed first, then four pairs by
    /// two steps that do not wait for what came before the round.
    pub(super) fn sums(avx2: Avx2, block: &mut [i64; BLOCK], len: usize, before: i64) -> i64 {
        if len == 0 {
            return before;
        }
        let mut carry = _mm256_set1_epi64x(before);
        for round in &mut block.as_chunks_mut::<ROUND>().0[..len.div_ceil(ROUND)] {
            let (a, b) = load(avx2, round);
            // Values 0 4 2 6 and 1 5 3 7, so that pairs lie 0 2 1 3.
            let (even, odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            let pairs = _mm256_add_epi64(even, odd);
            let crossed = _mm256_permute4x64_epi64::<0b0100_1110>(pairs);
            // Pairs 0+1 and 2+3, twice.
            let fours = _mm256_add_epi64(pairs, crossed);
            let eight = _mm256_add_epi64(fours, _mm256_shuffle_epi32::<0b0100_1110>(fours));
            // What lies before each pair: nothing, 0+1, 0 and 0+1+2.
            let above = _mm256_blend_epi32::<0b1111_0000>(_mm256_setzero_si256(), crossed);
            let within = _mm256_add_epi64(_mm256_slli_si256::<8>(fours), above);
            let base = _mm256_add_epi64(carry, within);
            carry = _mm256_add_epi64(carry, eight);
            let (even, odd) = (_mm256_add_epi64(base, even), _mm256_add_epi64(base, pairs));
            let (a, b) = (_mm256_unpacklo_epi64(even, odd), _mm256_unpackhi_epi64(even, odd));
            store(avx2, a, b, round);
        }
        block[len - 1]
    }
}

kernel! {
    /// See [`super::Kernels::scale`].
    pub(super) fn scale(
        avx2: Avx2,
        block: &mut [i64; BLOCK],
        len: usize,
        factor: i64,
        offset: i64,
    ) {
        plain::scale(block, len, factor, offset);
    }
}

kernel! {
    /// See [`super::Kernels::line`].
    pub(super) fn line(avx2: Avx2, block: &mut [i64; BLOCK], len: usize, slope: i64, index: i64) {
        plain::line(block, len, slope, index);
    }
}

kernel! {
    /// See [`super::Kernels::floats`].
    pub(super) fn floats(avx2: Avx2, block: &[i64; BLOCK], out: &mut [f64]) {
        let (rounds, rest) = out.as_chunks_mut::<4>();
        let (ints, last) = block[..4 * rounds.len() + rest.len()].as_chunks::<4>();
        for (out, ints) in rounds.iter_mut().zip(ints) {
            let ints: __m256i = i64x4::simd_from(avx2, *ints).into();
            *out = f64x4::simd_from(avx2, float(ints)).into();
        }
        for (out, i) in rest.iter_mut().zip(last) {
            *out = *i as f64;
        }
    }
}

kernel! {
    /// See [`super::Kernels::decimals`]; [`super::scale`] tells why it is exact.
    pub(super) fn decimals(avx2: Avx2, block: &[i64; BLOCK], scale: Scale, out: &mut [f64]) {
        let (rounds, rest) = out.as_chunks_mut::<4>();
        let (ints, last) = block[..4 * rounds.len() + rest.len()].as_chunks::<4>();
        let (power, inverse) = (_mm256_set1_pd(scale.power), _mm256_set1_pd(scale.inverse));
        for (out, ints) in rounds.iter_mut().zip(ints) {
            let ints: __m256i = i64x4::simd_from(avx2, *ints).into();
            let x = float(ints);
            let q = _mm256_mul_pd(x, inverse);
            let r = _mm256_fnmadd_pd(q, power, x);
            *out = f64x4::simd_from(avx2, _mm256_fmadd_pd(r, inverse, q)).into();
        }
        for (out, i) in rest.iter_mut().zip(last) {
            *out = scale.decimal(*i);
        }
    }
}

kernel! {
    /// See [`super::Kernels::ordered`].
    pub(super) fn ordered(avx2: Avx2, block: &[i64; BLOCK], out: &mut [f64]) {
        plain::ordered(block, out);
    }
}

kernel! {
    /// See [`super::Kernels::nudge`].
    pub(super) fn nudge(avx2: Avx2, block: &[i64; BLOCK], floats: &mut [f64]) {
        plain::nudge(block, floats);
    }
}

/// How many rounds are unpacked from `bytes` without reading behind them.
#[inline]
fn whole_rounds(bytes: &[u8], width: usize) -> usize {
    bytes.len().checked_sub(REACH).map_or(0, |left| left as u32 / width as u32 + 1) as usize
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(avx2: Avx2, from: &[i64; ROUND]) -> (__m256i, __m256i) {
    let [a, b] = from.as_chunks::<4>().0 else { unreachable!("eight are twice four") };
    (i64x4::simd_from(avx2, *a).into(), i64x4::simd_from(avx2, *b).into())
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(avx2: Avx2, a: __m256i, b: __m256i, out: &mut [i64; ROUND]) {
    let [low, high] = out.as_chunks_mut::<4>().0 else { unreachable!("eight are twice four") };
    *low = i64x4::simd_from(avx2, a).into();
    *high = i64x4::simd_from(avx2, b).into();
}

/// Integers as floats, rounded to nearest: the high 16 bits and the low 48 each
/// become a float by standing in the fraction of one, exactly, and are summed up
/// with one rounding (a known trick of SSE2, here for signed numbers).
#[target_feature(enable = "avx2,fma")]
#[inline]
fn float(i: __m256i) -> __m256d {
    /// 3 × 2^67: its unit in the last place is 2^16, that of bit 32 so 2^48.
    const HIGH: f64 = 442_721_857_769_029_238_784.0;
    /// 2^52, whose unit in the last place is 1.
    const LOW: f64 = 4_503_599_627_370_496.0;
    let high =
        _mm256_blend_epi16::<0b0011_0011>(_mm256_srai_epi32::<16>(i), _mm256_setzero_si256());
    let high = _mm256_add_epi64(high, _mm256_castpd_si256(_mm256_set1_pd(HIGH)));
    let low = _mm256_blend_epi16::<0b1000_1000>(i, _mm256_castpd_si256(_mm256_set1_pd(LOW)));
    let high = _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(HIGH + LOW));
    _mm256_add_pd(high, _mm256_castsi256_pd(low))
}
