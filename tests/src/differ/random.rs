//! Draws: what the generators of data and queries ask of chance.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of draws; equal seeds give equal draws.
#[derive(Debug)]
pub(crate) struct Random(StdRng);

impl Random {
    /// The draws of a seed; `stream` tells apart what is drawn from one seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.rotate_left(40);
        Self(StdRng::seed_from_u64(mixed))
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    /// A number of `[from, to)`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.random_range(from..to)
    }

    /// A number of `[from, to)`.
    pub(crate) fn float(&mut self, from: f64, to: f64) -> f64 {
        self.0.random_range(from..to)
    }

    /// True `percent` times of a hundred.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// One of these.
    pub(crate) fn choose<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// An index, each as likely as its weight says.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.0.random_range(0..weights.iter().sum::<u32>());
        for (i, weight) in weights.iter().enumerate() {
            if left < *weight {
                return i;
            }
            left -= weight;
        }
        weights.len() - 1
    }

    /// These in another order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            let j = self.below(i + 1);
            all.swap(i, j);
        }
    }
}
