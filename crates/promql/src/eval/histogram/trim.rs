//! `</` and `>/`: the observations below or above a value.
//!
//! Source: Prometheus, float_histogram.go `TrimBuckets`.

use super::Float;
use super::bounds::{Bucket, bucket, zero_bucket};

impl Float {
    /// Keeps what lies below (`upper`) or above `at`; a bucket that holds `at`
    /// is divided.
    pub(super) fn trim(&mut self, at: f64, upper: bool) {
        let custom = self.is_custom();
        let (mut count, mut sum) = (0.0, 0.0);
        let mut trimmed = false;
        let mut any = [false, false];
        let layout = Self::empty_like(self);
        for (side, positive) in [true, false].into_iter().enumerate() {
            let buckets = if positive { &mut self.positive } else { &mut self.negative };
            for (index, s) in buckets.iter_mut().filter(|(_, s)| s.sum != 0.0) {
                any[side] = true;
                let b = bucket(&layout, positive, *index, s.sum);
                let (kept, middle) = trim_bucket(&b, at, upper, positive, custom);
                count += kept;
                sum += middle * kept;
                trimmed |= s.sum != kept;
                s.sum = kept;
            }
        }
        let [has_positive, has_negative] = any;
        if self.zero.sum > 0.0 {
            let b = zero_bucket(self);
            let (kept, middle) = trim_zero(&b, at, upper, has_negative, has_positive);
            trimmed |= self.zero.sum != kept;
            self.zero.sum = kept;
            sum += middle * kept;
            count += kept;
        }
        if trimmed {
            self.count.sum = count;
            self.sum.sum = sum;
            self.positive.retain(|(_, s)| s.sum != 0.0);
            self.negative.retain(|(_, s)| s.sum != 0.0);
        }
    }
}

/// What is kept of a bucket, and the middle of what is kept.
fn trim_bucket(b: &Bucket, at: f64, upper: bool, positive: bool, linear: bool) -> (f64, f64) {
    let (all, some) =
        if upper { (b.upper <= at, b.lower < at) } else { (b.lower >= at, b.upper > at) };
    if all {
        return (b.count, middle(b.lower, b.upper, positive, linear));
    }
    if !some {
        return (0.0, 0.0);
    }
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return trim_infinite(b, at, upper);
    }
    let under = if at <= b.lower {
        0.0
    } else if at >= b.upper {
        b.count
    } else {
        b.count * b.below(at, linear)
    };
    match upper {
        true => (under, middle(b.lower, at, positive, linear)),
        false => (b.count - under, middle(at, b.upper, positive, linear)),
    }
}

/// A bucket without an end: how observations lie in it is not known.
fn trim_infinite(b: &Bucket, at: f64, upper: bool) -> (f64, f64) {
    let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    if b.lower == f64::NEG_INFINITY {
        let ends = b.upper != f64::INFINITY;
        if upper {
            return if at >= b.upper {
                (b.count, 0.0)
            } else if at > 0.0 && b.upper > 0.0 && ends {
                // Taken to begin at zero.
                (b.count * at / b.upper, at / 2.0)
            } else if b.upper <= 0.0 {
                (b.count, at)
            } else {
                (0.0, finite(b.upper))
            };
        }
        return if at <= b.lower {
            (b.count, 0.0)
        } else if at >= 0.0 && b.upper > at && ends {
            (b.count * (1.0 - at / b.upper), (at + b.upper) / 2.0)
        } else {
            (0.0, finite(b.upper))
        };
    }
    match !upper && at >= b.lower {
        true => (b.count, at),
        false => (0.0, finite(b.lower)),
    }
}

fn trim_zero(
    b: &Bucket,
    at: f64,
    upper: bool,
    has_negative: bool,
    has_positive: bool,
) -> (f64, f64) {
    let low = if has_positive && !has_negative { 0.0 } else { b.lower };
    let high = if has_negative && !has_positive { 0.0 } else { b.upper };
    let (below, above) = (at <= low, at >= high);
    let all = (b.count, (low + high) / 2.0);
    match (upper, below, above) {
        (true, true, _) => (0.0, 0.0),
        (true, _, true) | (false, true, _) => all,
        (false, _, true) => (0.0, 0.0),
        (true, ..) => (b.count * ((at - low) / (high - low)), (low + at) / 2.0),
        (false, ..) => (b.count * ((high - at) / (high - low)), (at + high) / 2.0),
    }
}

/// The middle of an interval: arithmetic, or geometric on a logarithmic scale.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return match upper {
            u if u.is_infinite() => 0.0,
            u if u > 0.0 => u / 2.0,
            u => u,
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return (lower + upper) / 2.0;
    }
    let geometric = (lower * upper).abs().sqrt();
    if positive { geometric } else { -geometric }
}
