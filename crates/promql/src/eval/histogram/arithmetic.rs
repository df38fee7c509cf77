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
                into.add(v.c);
            }
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
                let mut mine = onto(&self.positive, &self.bounds, &bounds);
                let theirs = onto(&other.positive, &other.bounds, &bounds);
                merge(&mut mine, &theirs, mode, |_| true);
                if mode != Mode::Compensated {
                    mine.iter_mut().for_each(|(_, s)| s.c = 0.0);
                }
                mine.retain(|(_, s)| s.sum != 0.0 || s.c != 0.0);
                self.positive = mine;
                self.bounds = Arc::from(bounds);
            }
            return Ok(Combined { collision, reconciled });
        }
        let mut finer = None;
        if other.schema < self.schema {
            self.reduce(other.schema);
        } else if other.schema > self.schema {
            let mut reduced = other.clone();
            reduced.reduce(self.schema);
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
        let mut sum = mine.next_if(|(i, _)| i == index).map_or(Sum::default(), |(_, s)| *s);
        mode.apply(&mut sum, *v);
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

/// The buckets in the layout of fewer bounds.
pub(super) fn onto(buckets: &Buckets, bounds: &[f64], target: &[f64]) -> Buckets {
    let mut out: Buckets = Vec::new();
    for (index, count) in buckets {
        let bound = usize::try_from(*index).ok().and_then(|i| bounds.get(i));
        let at = bound.map_or(target.len(), |b| target.partition_point(|t| t < b)) as i32;
        match out.last_mut() {
            Some((last, sum)) if *last == at => {
                sum.add(count.sum);
                sum.add(count.c);
            }
            _ => out.push((at, *count)),
        }
    }
    out
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
        let plain: Vec<_> = moved.iter().map(|(i, s)| (*i, s.sum)).collect();
        assert_eq!(plain, [(0, 2.0), (2, 1.0)]);
    }
}
