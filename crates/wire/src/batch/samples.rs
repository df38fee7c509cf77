//! The samples of one series in one batch: nearly always one, which takes no
//! allocation of its own.

use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;
use varve_model::Histogram;

/// One sample as it was sent.
#[derive(Clone, Debug)]
pub struct Sample<T> {
    /// When, in milliseconds since the epoch.
    pub time: i64,
    /// Start timestamp, in milliseconds since the epoch; 0 = none.
    pub start: i64,
    /// What.
    pub value: T,
}

/// Samples of one kind, in the sender's order.
#[derive(Clone, Debug)]
pub struct Samples<T>(SmallVec<[Sample<T>; 1]>);

impl<T> Samples<T> {
    /// None, with room for `n`.
    pub fn with_capacity(n: usize) -> Self {
        Self(SmallVec::with_capacity(n))
    }

    /// Adds a sample; `start` 0 means that it has no start timestamp.
    pub fn push(&mut self, time: i64, value: T, start: i64) {
        self.0.push(Sample { time, start, value });
    }

    /// Keeps the samples that `keep` takes.
    pub fn retain(&mut self, mut keep: impl FnMut(&Sample<T>) -> bool) {
        self.0.retain(|sample| keep(sample));
    }

    /// Whether a sample has a start timestamp.
    pub fn has_starts(&self) -> bool {
        self.0.iter().any(|s| s.start != 0)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sample<T>> {
        self.0.iter_mut()
    }
}

impl<T> Default for Samples<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T> Deref for Samples<T> {
    type Target = [Sample<T>];

    fn deref(&self) -> &[Sample<T>] {
        &self.0
    }
}

impl<T> IntoIterator for Samples<T> {
    type Item = Sample<T>;
    type IntoIter = smallvec::IntoIter<[Sample<T>; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Equal when they hold the same bits.
impl PartialEq for Samples<f64> {
    fn eq(&self, other: &Self) -> bool {
        let bits = |s: &Sample<f64>| (s.time, s.start, s.value.to_bits());
        self.iter().map(bits).eq(other.iter().map(bits))
    }
}

impl PartialEq for Samples<Arc<Histogram>> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Sample<Arc<Histogram>>, &Sample<Arc<Histogram>>)| {
            (a.time, a.start) == (b.time, b.start) && a.value == b.value
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}
