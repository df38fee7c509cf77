//! Sums and differences of histograms.

use std::sync::Arc;

use varve_model::ResetHint;

use super::Float;
use super::bounds::exponential;
use super::float::Buckets;
use crate::eval::kahan::Sum;

/// Exponential and custom buckets cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What was found while two histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Combined {
    /// One was after a reset, the other was said not to be.
    pub(crate) collision: bool,
    /// Only the custom bounds that both have were kept.
    pub(crate) reconciled: bool,
}

/// How numbers are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Add,
    Subtract,
    Compensated,
}

impl Mode {
    fn apply(self, into: &mut Sum, v: Sum) {
        match self {
            Self::Add => into.sum += v.sum,
            Self::Subtract => into.sum -= v.sum,
            Self::Compensated => {
                into.add(v.sum);
                if v.c != 0.0 {
                    into.add(v.c);
                }
            }
        }
    }

    /// A number where there was none.
    fn first(self, v: Sum) -> Sum {
        match self {
            Self::Add => Sum { sum: v.sum, c: 0.0 },
            Self::Subtract => Sum { sum: -v.sum, c: 0.0 },
            Self::Compensated => v,
        }
    }
}

impl Float {
    /// Adds another histogram.
    pub(crate) fn add(&mut self, other: &Self) -> Result<Combined, Incompatible> {
        self.combine(other, Mode::Add)
    }

    /// Subtracts another histogram.
    pub(crate) fn subtract(&mut self, other: &Self) -> Result<Combined, Incompatible> {
        self.combine(other, Mode::Subtract)
    }

    /// Adds another histogram, gathering what rounding loses.
    pub(crate) fn add_compensated(&mut self, other: &Self) -> Result<Combined, Incompatible> {
        self.combine(other, Mode::Compensated)
    }

    fn combine(&mut self, other: &Self, mode: Mode) -> Result<Combined, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let collision = self.adjust_hint(other);
        let mut reconciled = false;
        if !self.is_custom() {
            let zero = self.reconcile_zero(other);
            if mode != Mode::Compensated {
                self.zero.c = 0.0;
            }
            mode.apply(&mut self.zero, zero);
        }
        mode.apply(&mut self.count, other.count);
        mode.apply(&mut self.sum, other.sum);
        if self.is_custom() {
            if self.bounds == other.bounds {
                merge(&mut self.positive, &other.positive, mode, |_| true);
            } else {
                reconciled = true;
                let bounds = common(&self.bounds, &other.bounds);
                let mut all = onto(&self.positive, &self.bounds, &bounds);
                for (at, v) in moved(&other.positive, &other.bounds, &bounds) {
                    all[at].add(if mode == Mode::Subtract { -v.sum } else { v.sum });
                }
                let populated = |s: &Sum| s.sum != 0.0 || s.c != 0.0;
                let numbered = (0..).zip(all).filter(|(_, s)| populated(s));
                let kept = |s: Sum| match mode {
                    Mode::Compensated => s,
                    Mode::Add | Mode::Subtract => Sum { sum: s.sum, c: 0.0 },
                };
                self.positive = numbered.map(|(i, s)| (i, kept(s))).collect();
                self.bounds = Arc::from(bounds);
            }
            return Ok(Combined { collision, reconciled });
        }
        let mut finer = None;
        let reduce = |h: &mut Self, schema| match mode {
            Mode::Compensated => h.reduce_compensated(schema),
            Mode::Add | Mode::Subtract => h.reduce(schema),
        };
        if other.schema < self.schema {
            reduce(self, other.schema);
        } else if other.schema > self.schema {
            let mut reduced = other.clone();
            reduce(&mut reduced, self.schema);
            finer = Some(reduced);
        }
        let other = finer.as_ref().unwrap_or(other);
        // What lies within the zero bucket was counted there.
        let (schema, limit) = (self.schema, self.zero_threshold);
        let outside = |index: i32| exponential(index, schema) > limit;
        merge(&mut self.positive, &other.positive, mode, outside);
        merge(&mut self.negative, &other.negative, mode, outside);
        Ok(Combined { collision, reconciled })
    }

    /// What the result says of a reset; true when the two contradict each other.
    fn adjust_hint(&mut self, other: &Self) -> bool {
        match (self.hint, other.hint) {
            (a, b) if a == b => {}
            (ResetHint::Gauge | ResetHint::Unknown, b) if b != ResetHint::Gauge => {}
            (_, ResetHint::Gauge) => self.hint = ResetHint::Gauge,
            (_, ResetHint::Unknown) => self.hint = ResetHint::Unknown,
            _ => {
                self.hint = ResetHint::Unknown;
                return true;
            }
        }
        false
    }
}

/// Combines buckets with the same index; both are in order of index.
fn merge(into: &mut Buckets, from: &Buckets, mode: Mode, wanted: impl Fn(i32) -> bool) {
    let mut out = Vec::with_capacity(into.len() + from.len());
    let mut mine = into.iter().peekable();
    for (index, v) in from.iter().filter(|(i, _)| wanted(*i)) {
        while let Some(b) = mine.next_if(|(i, _)| i < index) {
            out.push(*b);
        }
        let sum = match mine.next_if(|(i, _)| i == index) {
            None => mode.first(*v),
            Some((_, sum)) => {
                let mut sum = *sum;
                mode.apply(&mut sum, *v);
                sum
            }
        };
        out.push((*index, sum));
    }
    out.extend(mine.copied());
    *into = out;
}

/// The bounds that both have.
pub(super) fn common(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = Vec::new();
    let mut rest = b.iter().peekable();
    for bound in a {
        while rest.next_if(|b| *b < bound).is_some() {}
        if rest.next_if(|b| *b == bound).is_some() {
            out.push(*bound);
        }
    }
    out
}

/// Buckets with their places among fewer bounds.
fn moved<'a>(
    buckets: &'a Buckets,
    bounds: &'a [f64],
    target: &'a [f64],
) -> impl Iterator<Item = (usize, Sum)> + 'a {
    buckets.iter().map(|(index, count)| {
        let bound = usize::try_from(*index).ok().and_then(|i| bounds.get(i));
        (bound.map_or(target.len(), |b| target.partition_point(|t| t < b)), *count)
    })
}

/// All buckets of fewer bounds, empty ones included.
pub(super) fn onto(buckets: &Buckets, bounds: &[f64], target: &[f64]) -> Vec<Sum> {
    let mut all = vec![Sum::default(); target.len() + 1];
    for (at, count) in moved(buckets, bounds, target) {
        all[at].add(count.sum);
        all[at].add(count.c);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_buckets_meet_on_common_bounds() {
        let bounds = common(&[1.0, 2.0, 3.0], &[0.5, 2.0, 3.0, 4.0]);
        assert_eq!(bounds, [2.0, 3.0]);
        let one = Sum { sum: 1.0, c: 0.0 };
        let buckets = vec![(0, one), (1, one), (3, one)];
        let moved = onto(&buckets, &[1.0, 2.0, 3.0], &bounds);
        let plain: Vec<_> = moved.iter().map(|s| s.sum).collect();
        assert_eq!(plain, [2.0, 0.0, 1.0]);
    }
}
