//! The loops for every machine. Those that the compiler vectorises well are
//! inlined into the kernels of others, where it has wider vectors.

use super::super::pack::BLOCK;
use super::super::{choose, decimal};
use super::{NarrowSlope, Scale};

pub(super) fn sums(block: &mut [i64; BLOCK], len: usize, before: i64) -> i64 {
    let mut sum = before;
    for i in &mut block[..len] {
        sum = sum.wrapping_add(*i);
        *i = sum;
    }
    sum
}

#[inline(always)]
pub(super) fn scale(block: &mut [i64; BLOCK], len: usize, factor: i64, offset: i64) {
    // Vector units multiply 32 bits by 32 bits.
    let short = factor as u64 & 0xffff_ffff;
    let block = &mut block[..len];
    if factor as u64 == short {
        for i in block {
            *i = ((*i as u64).wrapping_mul(short) as i64).wrapping_add(offset);
        }
    } else {
        for i in block {
            *i = i.wrapping_mul(factor).wrapping_add(offset);
        }
    }
}

#[inline(always)]
pub(super) fn line(block: &mut [i64; BLOCK], len: usize, slope: i64, index: i64) {
    let mut height = slope.wrapping_mul(index);
    for i in &mut block[..len] {
        *i = i.wrapping_add(choose::rounded(height));
        height = height.wrapping_add(slope);
    }
}

pub(super) fn floats(block: &[i64; BLOCK], out: &mut [f64]) {
    for (out, i) in out.iter_mut().zip(block) {
        *out = *i as f64;
    }
}

/// Converting and dividing are loops apart, as vector units divide two numbers
/// at a time and convert one.
pub(super) fn decimals(block: &[i64; BLOCK], scale: Scale, out: &mut [f64]) {
    floats(block, out);
    for out in out {
        *out /= scale.power;
    }
}

#[inline(always)]
pub(super) fn ordered(block: &[i64; BLOCK], out: &mut [f64]) {
    for (out, i) in out.iter_mut().zip(block) {
        *out = decimal::from_ordered(*i);
    }
}

#[inline(always)]
pub(super) fn nudge(block: &[i64; BLOCK], floats: &mut [f64]) {
    for (float, i) in floats.iter_mut().zip(block) {
        *float = decimal::from_ordered(decimal::ordered(*float).wrapping_add(*i));
    }
}

pub(super) fn sums_narrow(block: &mut [i32; BLOCK], len: usize) {
    let mut sum = 0i32;
    for i in &mut block[..len] {
        sum = sum.wrapping_add(*i);
        *i = sum;
    }
}

#[inline(always)]
pub(super) fn line_narrow(block: &mut [i32; BLOCK], len: usize, slope: NarrowSlope) {
    let NarrowSlope { whole, part, from } = slope;
    for (at, i) in (0u32..).zip(&mut block[..len]) {
        let beyond = from.wrapping_add(part.wrapping_mul(at)) >> choose::SLOPE_BITS;
        *i = i.wrapping_add(whole.wrapping_mul(at as i32)).wrapping_add(beyond as i32);
    }
}

pub(super) fn floats_narrow(
    block: &[i32; BLOCK],
    len: usize,
    base: f64,
    factor: f64,
    out: &mut Vec<f64>,
) {
    append(block, len, out, |i| base + factor * f64::from(i));
}

pub(super) fn decimals_narrow(
    block: &[i32; BLOCK],
    len: usize,
    base: f64,
    factor: f64,
    scale: Scale,
    out: &mut Vec<f64>,
) {
    append(block, len, out, |i| (base + factor * f64::from(i)) / scale.power);
}

/// Appends what `float` makes of the first `len` integers.
#[inline(always)]
fn append(block: &[i32; BLOCK], len: usize, out: &mut Vec<f64>, float: impl Fn(i32) -> f64) {
    out.extend(block[..len].iter().map(|i| float(*i)));
}

/// [`floats_narrow`] where multiplication and addition are one instruction.
#[inline(always)]
pub(super) fn floats_fused(
    block: &[i32; BLOCK],
    len: usize,
    base: f64,
    factor: f64,
    out: &mut Vec<f64>,
) {
    append(block, len, out, |i| f64::from(i).mul_add(factor, base));
}

/// [`decimals_narrow`] likewise; [`scale`](super::scale) tells why it is exact.
#[inline(always)]
pub(super) fn decimals_fused(
    block: &[i32; BLOCK],
    len: usize,
    base: f64,
    factor: f64,
    Scale { power, inverse }: Scale,
    out: &mut Vec<f64>,
) {
    append(block, len, out, |i| {
        let x = f64::from(i).mul_add(factor, base);
        let q = x * inverse;
        let r = (-q).mul_add(power, x);
        r.mul_add(inverse, q)
    });
}
