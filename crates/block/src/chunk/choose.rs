//! Which transform leaves the fewest bits: found from a sample, in one pass a
//! candidate.
//!
//! Up to 128 values are looked at whole, of more three stretches of 48. The
//! price of a stretch is what [`block::plan`] says that it would take, so the
//! estimate and the encoder agree.

use super::block;
use super::pack::BLOCK;

/// Binary places of a slope.
pub(super) const SLOPE_BITS: u32 = 20;
/// A sample is whole up to this length.
const WHOLE: usize = BLOCK;
/// Else it is this many stretches
const STRETCHES: usize = 3;
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
    rounded(slope.wrapping_mul(index))
}

/// `scaled / 2^20`, rounded down. Where this wraps it is merely a bad
/// prediction; the detour leaves a shift that vector units have.
#[inline(always)]
pub(super) fn rounded(scaled: i64) -> i64 {
    const LIFT: i64 = 1 << 62;
    (scaled.wrapping_add(LIFT) as u64 >> SLOPE_BITS) as i64 - (LIFT >> SLOPE_BITS)
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
    // In the order in which they are quick to undo; the second is what the
    // stream holds beside its blocks.
    let candidates = [
        (Transform::Plain, 0),
        (Transform::Delta, 0),
        (Transform::Linear { slope }, 24),
        (Transform::Delta2 { step }, 8),
    ];
    let mut prices = candidates.map(|(_, price)| price);
    if slope == 0 {
        prices[2] = u64::MAX;
    }
    let mut scratch = [[0i64; BLOCK]; 4];
    sample(offsets.len(), |start, len| {
        let [plain, delta, linear, delta2] = &mut scratch;
        plain[..len].copy_from_slice(&offsets[start..start + len]);
        let before = |back: usize| (start + 1).checked_sub(back).map_or(0, |i| offset(offsets, i));
        let (mut last, mut last_step) = (before(1), before(1).wrapping_sub(before(2)));
        for (i, &v) in plain[..len].iter().enumerate() {
            let step = v.wrapping_sub(last);
            delta[i] = step;
            delta2[i] = step.wrapping_sub(last_step);
            linear[i] = v.wrapping_sub(predict(slope, (start + i) as i64 + 1));
            (last, last_step) = (v, step);
        }
        if start == 0 {
            // The first difference is held elsewhere.
            delta2[0] = 0;
        }
        let widths = [0, 1, 2, 3].map(|k| block::core_width(&scratch[k][..len]));
        let least = widths.iter().min().copied().unwrap_or(0);
        for ((price, residuals), width) in prices.iter_mut().zip(&scratch).zip(widths) {
            // Far worse than another one: a rough price will do.
            let far = width > least + 3;
            let rough = len as u64 * u64::from(width);
            let bits = if far { rough } else { block::plan(&residuals[..len]).bits };
            *price = price.saturating_add(bits);
        }
    });
    let mut best = 0;
    for (k, price) in prices.iter().enumerate() {
        if *price < prices[best] {
            best = k;
        }
    }
    candidates[best].0
}

/// The offset of value `i`, the first value being 0.
fn offset(offsets: &[i64], i: usize) -> i64 {
    if i == 0 { 0 } else { offsets[i - 1] }
}

/// Calls `with` for each stretch (start, length ≤ 128) to look at.
fn sample(len: usize, mut with: impl FnMut(usize, usize)) {
    if len <= WHOLE {
        return with(0, len);
    }
    for i in 0..STRETCHES {
        with((len - STRETCH) * i / (STRETCHES - 1), STRETCH);
    }
}

/// The slope of the least-squares line through up to 128 values, as [`predict`]
/// wants it; 0 if there is none worth trying.
fn slope(offsets: &[i64]) -> i64 {
    if offsets.len() < 4 {
        return 0;
    }
    let stride = offsets.len().div_ceil(128);
    let n = offsets.len().div_ceil(stride) as f64;
    // Centred on the middle index, so that the sum of indexes is zero.
    let middle = (n - 1.0) / 2.0;
    let (mut sum, mut index) = (0.0, -middle);
    for &v in offsets.iter().step_by(stride) {
        sum += index * v as f64;
        index += 1.0;
    }
    let slope = sum * 12.0 / (n * (n * n - 1.0)) / stride as f64;
    let scaled = slope * f64::from(1u32 << SLOPE_BITS);
    if slope.abs() < 1.0 / offsets.len() as f64 || scaled.abs() > 1e13 {
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
