//! The info that buckets had to be made monotonic: what one call gathers over
//! all of its steps.

use std::collections::BTreeMap;

use super::buckets::Forced;
use crate::annotations::{Annotation, Monotonicity};
use crate::ast::Span;
use crate::eval::context::Context;
use crate::eval::scalar::Scalars;
use crate::plan::Grid;

/// The fixes of one call, by metric name.
pub(super) struct Fixes<'g> {
    grid: &'g Grid,
    /// Where the argument stands.
    pub(super) span: Span,
    found: BTreeMap<String, Found>,
    /// Steps at which buckets have been fixed for an earlier quantile.
    done: Vec<bool>,
}

/// What was fixed of one name.
struct Found {
    detail: Monotonicity,
    /// How many samples at each step.
    counts: Vec<u32>,
}

impl<'g> Fixes<'g> {
    pub(super) fn new(grid: &'g Grid, span: Span) -> Self {
        Self { grid, span, found: BTreeMap::new(), done: vec![false; grid.steps] }
    }

    /// Takes note of one sample.
    pub(super) fn note(&mut self, step: usize, name: &str, forced: &Forced) {
        if self.done.get(step).is_none_or(|done| *done) {
            return;
        }
        let time = self.grid.time(step);
        let new = Monotonicity {
            min_time: time,
            max_time: time,
            min_bucket: forced.min_bucket,
            max_bucket: forced.max_bucket,
            max_diff: forced.max_diff,
            count: 0,
        };
        let steps = self.grid.steps;
        let found = self
            .found
            .entry(name.to_owned())
            .or_insert_with(|| Found { detail: new, counts: vec![0; steps] });
        found.detail.merge(&new);
        found.counts[step] += 1;
    }

    /// The buckets were asked for these quantiles. Prometheus fixes them in
    /// place, for the first that is one, and later ones find them fixed.
    pub(super) fn asked(&mut self, quantiles: &Scalars) {
        for (step, done) in self.done.iter_mut().enumerate() {
            *done |= (0.0..=1.0).contains(&quantiles.at(step));
        }
    }

    /// Says it all.
    pub(super) fn tell(self, ctx: &Context<'_>) {
        for (name, Found { mut detail, counts }) in self.found {
            detail.count = counted(&counts);
            ctx.annotate(Annotation::forced_monotonicity(&name, detail, self.span));
        }
    }
}

/// The number of fixed samples as Prometheus gives it: at each step after the
/// first with a fix it adds what it has counted so far to itself.
fn counted(by_step: &[u32]) -> i64 {
    let mut steps = by_step.iter().map(|n| i64::from(*n)).skip_while(|n| *n == 0);
    let first = steps.next().unwrap_or(0);
    steps.fold(first, |count, n| count.wrapping_add(n).wrapping_mul(2))
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn counts_double_as_those_of_prometheus() {
        for (by_step, count) in
            [(&[0, 3][..], 3), (&[1], 1), (&[1, 0], 2), (&[0, 1, 1, 0], 8), (&[], 0)]
        {
            assert_eq!(counted(by_step), count, "{by_step:?}");
        }
        assert_eq!(counted(&[1; 100]), -2);
    }
}
