//! Where buckets begin and end.

use varve_model::CUSTOM_BUCKETS_SCHEMA;

use super::{Float, table};

/// The index of a bucket `shift` schemas coarser.
pub(crate) fn coarser(index: i32, shift: i32) -> i32 {
    ((index - 1) >> shift.clamp(0, 31)) + 1
}

/// The absolute upper bound of an exponential bucket: 2^(index · 2^−schema).
/// The bound that would be the first beyond all numbers is the largest one.
pub(crate) fn exponential(index: i32, schema: i32) -> f64 {
    if schema < 0 {
        let exponent = i64::from(index) << -schema;
        return if exponent == 1024 { f64::MAX } else { power(exponent) };
    }
    let whole = i64::from(index >> schema);
    let part = index & ((1 << schema) - 1);
    if part == 0 && whole == 1024 {
        return f64::MAX;
    }
    // Twice half the bound, and in two factors, so that neither is beyond the
    // range of numbers.
    let fraction = 2.0 * table::fraction(part.unsigned_abs(), schema.unsigned_abs());
    let half = whole / 2;
    fraction * power(half) * power(whole - half)
}

fn power(exponent: i64) -> f64 {
    (exponent.clamp(-5000, 5000) as f64).exp2()
}

/// The upper bound of a bucket by index; of a custom one the index is its
/// place, −1 is −Inf.
pub(crate) fn upper(index: i32, schema: i32, custom: &[f64]) -> f64 {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return exponential(index, schema);
    }
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(i) => custom.get(i).copied().unwrap_or(f64::INFINITY),
    }
}

/// One bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: f64,
    pub(crate) lower_inclusive: bool,
    pub(crate) upper_inclusive: bool,
}

impl Bucket {
    /// Which part of the bucket lies below `v`, evenly or on a logarithmic scale.
    pub(crate) fn below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let lower = self.lower.abs().log2();
        let upper = self.upper.abs().log2();
        let v_log = v.abs().log2();
        match v > 0.0 {
            true => (v_log - lower) / (upper - lower),
            false => 1.0 - (v_log - upper) / (lower - upper),
        }
    }
}

/// The bucket of a positive (or negative) index.
pub(crate) fn bucket(h: &Float, positive: bool, index: i32, count: f64) -> Bucket {
    let far = upper(index, h.schema, &h.bounds);
    let near = upper(index - 1, h.schema, &h.bounds);
    let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
    let (lower_inclusive, upper_inclusive) = match h.is_custom() {
        true => (index == 0, true),
        false => (lower < 0.0, upper > 0.0),
    };
    Bucket { lower, upper, count, lower_inclusive, upper_inclusive }
}

/// The zero bucket.
pub(crate) fn zero_bucket(h: &Float) -> Bucket {
    Bucket {
        lower: -h.zero_threshold,
        upper: h.zero_threshold,
        count: h.zero.sum,
        lower_inclusive: true,
        upper_inclusive: true,
    }
}

/// All buckets in ascending order, as they are.
fn ascending(h: &Float) -> Vec<Bucket> {
    let mut all = Vec::with_capacity(h.negative.len() + h.positive.len() + 1);
    all.extend(h.negative.iter().rev().map(|(i, s)| bucket(h, false, *i, s.sum)));
    if h.zero.sum > 0.0 {
        all.push(zero_bucket(h));
    }
    all.extend(h.positive.iter().map(|(i, s)| bucket(h, true, *i, s.sum)));
    all
}

/// All buckets in ascending order, none overlapping the zero bucket.
pub(crate) fn ascending_clipped(h: &Float) -> Vec<Bucket> {
    let mut all = ascending(h);
    for b in &mut all {
        if b.upper < 0.0 && b.upper > -h.zero_threshold {
            b.upper = -h.zero_threshold;
        } else if b.lower > 0.0 && b.lower < h.zero_threshold {
            b.lower = h.zero_threshold;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers() {
        assert_eq!(exponential(0, 0), 1.0);
        assert_eq!(exponential(3, 0), 8.0);
        assert_eq!(exponential(-3, 0), 0.125);
        assert_eq!(
            exponential(1, 1).to_bits(),
            "1.414213562373095".parse::<f64>().unwrap().to_bits()
        );
        assert_eq!(exponential(2, -2), 256.0);
        assert_eq!(exponential(1024, 0), f64::MAX);
        assert_eq!(exponential(1025, 0), f64::INFINITY);
        assert_eq!(exponential(64, -4), f64::MAX);
        assert_eq!(exponential(-1074, 0), 5e-324);
    }

    #[test]
    fn coarser_buckets_hold_the_finer_ones() {
        let pairs = [(-3, -1), (-2, -1), (-1, 0), (0, 0), (1, 1), (2, 1), (3, 2), (4, 2)];
        for (fine, coarse) in pairs {
            assert_eq!(coarser(fine, 1), coarse, "{fine}");
        }
    }
}
