//! Which form a run of floats has: decimals of a few places, sums of such
//! decimals with rounding errors piled up, or neither.
//!
//! A decimal of at most 15 digits is the integer `round(v × 10^e)`, and
//! dividing that by 10^e gives back the very bits (both are exact, and
//! division rounds correctly); this is checked for each value. A sum that
//! was accumulated in floats lies a few units in the last place beside such a
//! decimal: the distance is kept as a second, small integer.

use super::bits::{bit_length, zigzag};
use super::kernels::{MAX_EXPONENT, POWERS};
use super::runs::{self, Run};

/// Scaled decimals stay below this, 15 digits.
const LIMIT: f64 = 1e15;
/// How many values are looked at to find the exponent.
const SAMPLE: usize = 32;
/// Sums are not looked for with more places than this.
const MAX_SUM_EXPONENT: u8 = 12;

/// How values are to be written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Each is an integer divided by 10^exponent.
    Decimals { exponent: u8, scaled: Vec<i64> },
    /// Each lies so many units in the last place above such a decimal.
    Sums { exponent: u8, scaled: Vec<i64>, errors: Vec<i64> },
    /// Their bits, as integers of the same order.
    Bits(Vec<i64>),
}

/// The bits of a float as an integer of the same order.
#[inline(always)]
pub(super) fn ordered(v: f64) -> i64 {
    let bits = v.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// Undoes [`ordered`].
#[inline(always)]
pub(super) fn from_ordered(i: i64) -> f64 {
    f64::from_bits((i ^ ((i >> 63) as u64 >> 1) as i64) as u64)
}

/// Finds the form of `values` and what does not fit it.
pub(super) fn recognise(values: &[f64]) -> (Form, Vec<Run>) {
    if let Some(found) = integers(values) {
        return (found, Vec::new());
    }
    if let Some(found) = scale(values, 0, 0) {
        return found;
    }
    if let Some(likely) = exponent(values) {
        let mut exponent = likely;
        // A value outside the sample may have more places.
        for _ in 0..3 {
            if let Some(found) = scale(values, exponent, 0) {
                return found;
            }
            match more_places(values, exponent) {
                Some(more) => exponent = more,
                None => break,
            }
        }
        if let Some(found) = scale(values, likely, values.len() / 32) {
            return found;
        }
    }
    match sum_exponent(values) {
        Some(exponent) => sums(values, exponent),
        None => (Form::Bits(values.iter().map(|v| ordered(*v)).collect()), Vec::new()),
    }
}

/// The frequent case, in one plain loop: all values are integers.
fn integers(values: &[f64]) -> Option<Form> {
    let mut scaled = Vec::with_capacity(values.len());
    for values in values.chunks(64) {
        let mut differ = 0;
        scaled.extend(values.iter().map(|v| {
            let i = *v as i64;
            differ |= (i as f64).to_bits() ^ v.to_bits();
            i
        }));
        if differ != 0 {
            return None;
        }
    }
    Some(Form::Decimals { exponent: 0, scaled })
}

/// Whether a value fits no decimal form, whatever the exponent.
fn special(v: f64) -> bool {
    !v.is_finite() || v.to_bits() == 1 << 63
}

/// The integer that 10^exponent makes of a value, if it gives back its bits.
fn scaled(v: f64, power: f64) -> Option<i64> {
    let product = v * power;
    if product.abs() >= LIMIT && power != 1.0 {
        return None;
    }
    let i = round(product);
    ((i as f64 / power).to_bits() == v.to_bits()).then_some(i)
}

/// Rounds to the nearest integer, saturating; NaN is 0.
fn round(v: f64) -> i64 {
    // From 2^52 on there are only integers.
    if v.abs() < 4_503_599_627_370_496.0 { (v + 0.5f64.copysign(v)) as i64 } else { v as i64 }
}

/// The fewest places with which a value is a decimal.
fn places(v: f64) -> Option<u8> {
    (0..=MAX_EXPONENT)
        .take_while(|e| *e == 0 || (v * POWERS[usize::from(*e)]).abs() < LIMIT)
        .find(|e| scaled(v, POWERS[usize::from(*e)]).is_some())
}

/// Evenly spread values, specials left out.
fn spread(values: &[f64]) -> impl Iterator<Item = f64> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    values.iter().step_by(step).copied().filter(|v| !special(*v))
}

/// The most places among a sample; none if many are no decimals.
fn exponent(values: &[f64]) -> Option<u8> {
    let (mut most, mut unfit) = (0, 0);
    for v in spread(values) {
        match places(v) {
            Some(e) => most = most.max(e),
            None => unfit += 1,
        }
        if unfit > 2 {
            return None;
        }
    }
    Some(most)
}

/// Scales all values unless more than `allowed` finite ones do not fit.
fn scale(values: &[f64], exponent: u8, allowed: usize) -> Option<(Form, Vec<Run>)> {
    let power = POWERS[usize::from(exponent)];
    let mut integers = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    let (mut last, mut unfit) = (None, 0);
    for (i, &v) in values.iter().enumerate() {
        let fit = if exponent == 0 { whole(v) } else { scaled(v, power) };
        if fit.is_some() {
            last = fit;
        } else {
            unfit += usize::from(!special(v));
            if unfit > allowed {
                return None;
            }
            runs::push(&mut exceptions, i, v.to_bits());
        }
        integers.push(last.unwrap_or(0));
    }
    fill_front(&mut integers, &exceptions);
    Some((Form::Decimals { exponent, scaled: integers }, exceptions))
}

/// The integer that a value is.
fn whole(v: f64) -> Option<i64> {
    let i = v as i64;
    ((i as f64).to_bits() == v.to_bits()).then_some(i)
}

/// Where the first values are exceptions, the first that is none stands in for them.
fn fill_front(integers: &mut [i64], exceptions: &[Run]) {
    let mut front = 0;
    for run in exceptions {
        if run.start != front {
            break;
        }
        front += run.len;
    }
    if let Some(&value) = integers.get(front) {
        integers[..front].fill(value);
    }
}

/// With how many places it is worth to try again, after values did not fit.
fn more_places(values: &[f64], exponent: u8) -> Option<u8> {
    let power = POWERS[usize::from(exponent)];
    let mut most = None;
    let unfit = values.iter().filter(|v| !special(**v) && scaled(**v, power).is_none());
    for v in unfit.take(SAMPLE) {
        most = most.max(Some(places(*v).filter(|e| *e > exponent)?));
    }
    most
}

/// The exponent with which values look like sums of decimals; none if their
/// bits are as short.
fn sum_exponent(values: &[f64]) -> Option<u8> {
    let middle = (values.len() - values.len().min(SAMPLE)) / 2;
    let near = &values[middle..values.len().min(middle + SAMPLE)];
    let near: Vec<f64> = near.iter().copied().filter(|v| !special(*v)).collect();
    let length = |i: i64| u64::from(bit_length(zigzag(i)));
    let steps = |f: &dyn Fn(f64) -> i64| -> u64 {
        near.windows(2).map(|w| length(f(w[1]).wrapping_sub(f(w[0])))).sum()
    };
    let bits = steps(&ordered);
    let price = |exponent: u8| -> u64 {
        let power = POWERS[usize::from(exponent)];
        let errors: u64 = near.iter().map(|v| length(error(*v, power).1)).sum();
        errors + steps(&|v| round(v * power))
    };
    let (price, exponent) = (0..=MAX_SUM_EXPONENT).map(|e| (price(e), e)).min()?;
    (price < bits).then_some(exponent)
}

/// The nearest decimal and the distance to it in units in the last place.
fn error(v: f64, power: f64) -> (i64, i64) {
    let near = round(v * power);
    (near, ordered(v).wrapping_sub(ordered(near as f64 / power)))
}

/// Writes values as decimals and distances.
fn sums(values: &[f64], exponent: u8) -> (Form, Vec<Run>) {
    let power = POWERS[usize::from(exponent)];
    let mut scaled = Vec::with_capacity(values.len());
    let mut errors = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    let mut last = (0, 0);
    for (i, &v) in values.iter().enumerate() {
        if special(v) {
            runs::push(&mut exceptions, i, v.to_bits());
        } else {
            last = error(v, power);
        }
        scaled.push(last.0);
        errors.push(last.1);
    }
    fill_front(&mut scaled, &exceptions);
    fill_front(&mut errors, &exceptions);
    (Form::Sums { exponent, scaled, errors }, exceptions)
}
