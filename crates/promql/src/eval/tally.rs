//! Samples as Prometheus counts them (util/stats): those that each step looks
//! at, and those of them that no step before has looked at.

use std::sync::{Arc, Mutex, PoisonError};

use varve_model::{Counts as Buckets, Histogram};

use super::context::{Context, Hold};
use super::row::{Cell, Row};
use crate::engine::EngineError;
use crate::plan::{Grid, Scope, ScopeId, ScopeKind};

/// Counts of one grid, a number a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples that a step looks at.
    pub(crate) touched: Vec<u64>,
    /// Those that are new.
    pub(crate) read: Vec<u64>,
}

/// The counts of all grids of a query.
#[derive(Debug, Default)]
pub(crate) struct Tally(Vec<Mutex<(Counts, Option<Hold>)>>);

/// Samples that a histogram counts as, by the room that it takes in Prometheus.
pub(crate) fn size(h: &Arc<Histogram>) -> u64 {
    let (positive, negative) = match &h.counts {
        Buckets::Int { positive, negative, .. } => (positive.len(), negative.len()),
        Buckets::Float { positive, negative, .. } => (positive.len(), negative.len()),
    };
    let words = h.positive_spans.len()
        + h.negative_spans.len()
        + h.custom_bounds.len()
        + positive
        + negative;
    (168 + 8 * words as u64 + 8) / 16
}

impl Counts {
    pub(crate) fn new(steps: usize) -> Self {
        Self { touched: vec![0; steps], read: vec![0; steps] }
    }

    /// Counts the samples of a selector's row; `whole` says whether histograms
    /// count by their size.
    pub(crate) fn row(&mut self, row: &Row, whole: bool) {
        for step in 0..row.floats.len() {
            let n = match row.cell(step) {
                Cell::Absent => continue,
                Cell::Histogram(h) if whole => size(h),
                Cell::Float(_) | Cell::Histogram(_) => 1,
            };
            self.touched[step] += n;
            self.read[step] += n;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let each = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        each(&mut self.touched, &other.touched);
        each(&mut self.read, &other.read);
    }
}

impl Tally {
    pub(crate) fn new(scopes: usize) -> Self {
        let mut all = Vec::new();
        all.resize_with(scopes, Mutex::default);
        Self(all)
    }

    /// Adds to the counts of a grid.
    pub(crate) fn add(
        &self,
        ctx: &Context<'_>,
        scope: ScopeId,
        counts: &Counts,
    ) -> Result<(), EngineError> {
        let mut to = self.0[scope].lock().unwrap_or_else(PoisonError::into_inner);
        if to.1.is_none() {
            let steps = counts.touched.len();
            to.1 = Some(ctx.hold(16 * steps, 0)?);
            to.0 = Counts::new(steps);
        }
        to.0.add(counts);
        Ok(())
    }

    /// All counts, in those of the query's own grid.
    pub(crate) fn total(&self, scopes: &[Scope]) -> Counts {
        let take = |m: &Mutex<(Counts, Option<Hold>)>| {
            let mut taken = m.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut taken.0)
        };
        let mut all: Vec<Counts> = self.0.iter().map(take).collect();
        for (counts, scope) in all.iter_mut().zip(scopes) {
            if counts.touched.is_empty() {
                *counts =
                    Counts::new(if scope.kind == ScopeKind::Query { scope.grid.steps } else { 0 });
            }
        }
        for i in (1..all.len()).rev() {
            let (scope, child) = (scopes[i], std::mem::take(&mut all[i]));
            let grid = scopes[scope.parent].grid;
            let to = &mut all[scope.parent];
            if child.touched.is_empty() || grid.steps == 0 {
                continue;
            }
            if to.touched.is_empty() {
                *to = Counts::new(grid.steps);
            }
            let touched: u64 = child.touched.iter().sum();
            match scope.kind {
                ScopeKind::Query => {}
                ScopeKind::Once => {
                    to.touched.iter_mut().for_each(|n| *n += touched);
                    to.read[0] += child.read.iter().sum::<u64>();
                }
                ScopeKind::Subquery { offset, range } => {
                    if range == 0 {
                        to.touched[grid.steps - 1] += touched;
                    }
                    for (step, n) in child.read.iter().enumerate().filter(|(_, n)| **n > 0) {
                        let time = scope.grid.time(step).saturating_add(offset);
                        if let Some(at) = step_of(&grid, time, range) {
                            to.read[at] += n;
                        }
                    }
                }
            }
        }
        all.swap_remove(0)
    }
}

/// The first step that uses what a subquery has at `time`; `None` when the
/// windows of all steps leave it out.
fn step_of(grid: &Grid, time: i64, range: i64) -> Option<usize> {
    if grid.steps <= 1 {
        return Some(0);
    }
    let after = time.saturating_sub(grid.start).max(0);
    let step = usize::try_from(after.saturating_add(grid.step - 1) / grid.step).ok()?;
    let step = step.min(grid.steps - 1);
    let left_out = range > 0 && time <= grid.time(step).saturating_sub(range);
    (!left_out).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_subqueries_belong_to_the_first_step_that_uses_them() {
        let grid = Grid::range(100, 200, 50);
        let cases = [(90, 0, Some(0)), (100, 0, Some(0)), (101, 0, Some(1)), (999, 0, Some(2))];
        for (time, range, expected) in cases {
            assert_eq!(step_of(&grid, time, range), expected, "{time}");
        }
        // Between two windows of 10.
        assert_eq!(step_of(&grid, 140, 10), None);
        assert_eq!(step_of(&grid, 141, 10), Some(1));
    }
}
