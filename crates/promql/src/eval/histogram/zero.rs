//! Zero buckets of different width, made equally wide.

use super::Float;
use super::bounds::{bucket, exponential};
use crate::eval::kahan::Sum;

impl Float {
    /// What the zero bucket would hold if it were as wide as `threshold`, which
    /// is not narrower, and how wide it then is: where `threshold` falls into a
    /// populated bucket, all of that is taken in.
    pub(super) fn wider_zero(&self, mut threshold: f64) -> (Sum, f64) {
        if threshold <= self.zero_threshold {
            return (self.zero, threshold);
        }
        let mut zero = self.zero;
        'again: loop {
            zero.sum = self.zero.sum;
            for (positive, buckets) in [(true, &self.positive), (false, &self.negative)] {
                for (index, count) in buckets {
                    let b = bucket(self, positive, *index, count.sum);
                    let (near, far) =
                        if positive { (b.lower, b.upper) } else { (-b.upper, -b.lower) };
                    if near >= threshold {
                        break;
                    }
                    zero.add(count.sum);
                    zero.add(count.c);
                    if far > threshold {
                        if count.sum != 0.0 {
                            threshold = far;
                            if !positive {
                                continue 'again;
                            }
                        }
                        break;
                    }
                }
            }
            return (zero, threshold);
        }
    }

    /// Widens both zero buckets until they are equally wide. Only `self` is
    /// changed; what `other` would hold is returned.
    pub(super) fn reconcile_zero(&mut self, other: &Self) -> Sum {
        let (mut zero, mut threshold) = (other.zero, other.zero_threshold);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (zero, threshold) = other.wider_zero(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                (self.zero, self.zero_threshold) = self.wider_zero(threshold);
                let (schema, limit) = (self.schema, self.zero_threshold);
                for buckets in [&mut self.positive, &mut self.negative] {
                    buckets.retain(|(i, s)| {
                        exponential(i - 1, schema) >= limit && (s.sum != 0.0 || s.c != 0.0)
                    });
                }
            }
            if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        zero
    }
}
