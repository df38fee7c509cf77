//! Which transform leaves the fewest bits: found from a sample, in one pass a
//! candidate.
//!
//! Up to 256 values are looked at whole, of more four stretches of 48. The
//! price of a stretch is what [`block::plan`] says that it would take, so the
//! estimate and the encoder agree.

use super::block;
use super::pack::BLOCK;

/// Binary places of a slope.
const SLOPE_BITS: u32 = 20;
/// A sample is whole up to this length.
const WHOLE: usize = 2 * BLOCK;
/// Else it is this many stretches
const STRETCHES: usize = 4;
/// of this length.
const STRETCH: usize = 48;

/// What turns offsets from the first value into residuals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// All offsets are zero.
    Constant,
    /// The offsets themselves: a frame of reference.
    Plain,
    /// Differences of neighbours.
    Delta,
    /// Differences of differences; `step` is the first difference.
    Delta2 { step: i64 },
    /// Distance to a line through the first value; see [`predict`].
    Linear { slope: i64 },
}

/// The line's height at `index`, the first value being at 0.
pub(super) fn predict(slope: i64, index: i64) -> i64 {
    slope.wrapping_mul(index) >> SLOPE_BITS
}

impl Transform {
    /// The number in the stream's first byte.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Constant => 0,
            Self::Plain => 1,
            Self::Delta => 2,
            Self::Delta2 { .. } => 3,
            Self::Linear { .. } => 4,
        }
    }

    /// Turns offsets into residuals in place; returns how many of the first
    /// are held elsewhere in the stream.
    pub(super) fn residuals(self, offsets: &mut [i64]) -> usize {
        match self {
            Self::Constant => offsets.len(),
            Self::Plain => 0,
            Self::Delta => {
                difference(offsets);
                0
            }
            Self::Delta2 { .. } => {
                difference(offsets);
                difference(offsets);
                1.min(offsets.len())
            }
            Self::Linear { slope } => {
                for (i, v) in offsets.iter_mut().enumerate() {
                    *v = v.wrapping_sub(predict(slope, i as i64 + 1));
                }
                0
            }
        }
    }
}

/// Replaces values by their difference to the one before, the first to 0.
fn difference(values: &mut [i64]) {
    let mut last = 0i64;
    for v in values {
        (*v, last) = (v.wrapping_sub(last), *v);
    }
}

/// The cheapest transform of offsets from the first value.
pub(super) fn transform(offsets: &[i64]) -> Transform {
    let Some(&step) = offsets.first() else { return Transform::Constant };
    if step == 0 && offsets.iter().all(|o| *o == 0) {
        return Transform::Constant;
    }
    let slope = slope(offsets);
    let mut plain = 0;
    let mut delta = 0;
    let mut delta2 = 8;
    let mut linear = 24;
    let mut scratch = [0i64; BLOCK];
    sample(offsets.len(), |start, len| {
        let at = |i: usize| if i == 0 { 0 } else { offsets[i - 1] };
        let values = &offsets[start..start + len];
        let scratch = &mut scratch[..len];
        plain += block::plan(values).bits;
        for (out, (i, v)) in scratch.iter_mut().zip((start..).zip(values)) {
            *out = v.wrapping_sub(at(i));
        }
        delta += block::plan(scratch).bits;
        if slope != 0 {
            for (out, (i, v)) in scratch.iter_mut().zip((start..).zip(values)) {
                *out = v.wrapping_sub(predict(slope, i as i64 + 1));
            }
            linear += block::plan(scratch).bits;
        }
        for (out, (i, v)) in scratch.iter_mut().zip((start..).zip(values)) {
            let before = if i < 2 { 0 } else { at(i - 1) };
            // The first difference is held elsewhere.
            let now = if i == 0 { 0 } else { v.wrapping_sub(at(i)) };
            let last = if i == 0 { 0 } else { at(i).wrapping_sub(before) };
            *out = now.wrapping_sub(last);
        }
        delta2 += block::plan(scratch).bits;
    });
    if slope == 0 {
        linear = u64::MAX;
    }
    let least = plain.min(delta).min(linear).min(delta2);
    if plain == least {
        Transform::Plain
    } else if delta == least {
        Transform::Delta
    } else if linear == least {
        Transform::Linear { slope }
    } else {
        Transform::Delta2 { step }
    }
}

/// Calls `with` for each stretch (start, length ≤ 128) to look at.
fn sample(len: usize, mut with: impl FnMut(usize, usize)) {
    if len <= WHOLE {
        for start in (0..len).step_by(BLOCK) {
            with(start, BLOCK.min(len - start));
        }
        return;
    }
    for i in 0..STRETCHES {
        with((len - STRETCH) * i / (STRETCHES - 1), STRETCH);
    }
}

/// The slope of the least-squares line, as [`predict`] wants it; 0 if there
/// is none worth trying.
fn slope(offsets: &[i64]) -> i64 {
    let n = offsets.len() as f64;
    if offsets.len() < 4 {
        return 0;
    }
    // Centred on the middle index, so that the sum of indexes is zero.
    let middle = (n - 1.0) / 2.0;
    let (mut sum, mut index) = (0.0, -middle);
    for &v in offsets {
        sum += index * v as f64;
        index += 1.0;
    }
    let slope = sum * 12.0 / (n * (n * n - 1.0));
    let scaled = slope * f64::from(1u32 << SLOPE_BITS);
    if slope.abs() < 1.0 / n || scaled.abs() > 1e13 {
        return 0;
    }
    scaled.round() as i64
}

/// The greatest common divisor of the offsets; 1 where one of them has wrapped.
pub(super) fn divisor(first: i64, values: &[i64], offsets: &[i64]) -> i64 {
    let mut divisor = 0u64;
    for offset in offsets {
        let offset = offset.unsigned_abs();
        if divisor == 0 || offset % divisor != 0 {
            divisor = gcd(offset, divisor);
            if divisor == 1 {
                return 1;
            }
        }
    }
    let wrapped = values.iter().any(|v| v.checked_sub(first).is_none());
    match i64::try_from(divisor) {
        Ok(divisor) if divisor > 1 && !wrapped => divisor,
        _ => 1,
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
