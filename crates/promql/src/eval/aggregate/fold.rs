//! Aggregations as folds: a state a step and group, rows taken in one by one.

use varve_model::Labels;

use super::super::context::Context;
use super::super::row::{Row, absent, is_absent};
use crate::annotations::Annotation;
use crate::ast::Span;
use crate::engine::EngineError;

/// An aggregation of one row after the other.
pub(super) trait Fold: Sync {
    /// The state of one group: something a step.
    type State: Send;

    /// A state before the first row.
    fn start(&self, steps: usize) -> Self::State;

    /// Takes a row in.
    fn add(&self, scope: &Scope<'_>, state: &mut Self::State, row: &Row)
    -> Result<(), EngineError>;

    /// Writes the results to a row.
    fn finish(
        &self,
        scope: &Scope<'_>,
        state: Self::State,
        row: &mut Row,
    ) -> Result<(), EngineError>;

    /// About how many bytes a state takes.
    fn memory(steps: usize) -> usize {
        steps * 32
    }
}

/// What a fold knows besides its rows.
pub(super) struct Scope<'a> {
    pub(super) ctx: &'a Context<'a>,
    /// Where what is aggregated stands.
    pub(super) span: Span,
    pub(super) steps: usize,
}

impl Scope<'_> {
    /// Says that histograms are left out.
    pub(super) fn ignored(&self, aggregation: &str) {
        let annotation = Annotation::histogram_ignored_in_aggregation(aggregation, self.span);
        self.ctx.annotate(annotation);
    }
}

/// The states of all groups.
pub(super) struct Folds<'a, F: Fold> {
    fold: &'a F,
    scope: Scope<'a>,
    states: Vec<F::State>,
}

impl<'a, F: Fold> Folds<'a, F> {
    pub(super) fn new(ctx: &'a Context<'a>, fold: &'a F, steps: usize, span: Span) -> Self {
        Self { fold, scope: Scope { ctx, span, steps }, states: Vec::new() }
    }

    /// Takes a row in; a group's number is at most that of groups so far.
    pub(super) fn add(&mut self, group: usize, row: &Row) -> Result<(), EngineError> {
        if group == self.states.len() {
            self.states.push(self.fold.start(self.scope.steps));
        }
        self.fold.add(&self.scope, &mut self.states[group], row)
    }

    /// One row a group.
    pub(super) fn finish(self, labels: Vec<(Labels, bool)>) -> Result<Vec<Row>, EngineError> {
        let mut rows = Vec::with_capacity(labels.len());
        for ((labels, drop_name), state) in labels.into_iter().zip(self.states) {
            let mut row = Row::empty(labels, self.scope.steps);
            row.drop_name = drop_name;
            self.scope.ctx.check()?;
            self.fold.finish(&self.scope, state, &mut row)?;
            rows.push(row);
        }
        Ok(rows)
    }
}

/// `count`
pub(super) struct Count;

impl Fold for Count {
    type State = Vec<f64>;

    fn start(&self, steps: usize) -> Vec<f64> {
        vec![0.0; steps]
    }

    fn add(&self, _: &Scope<'_>, counts: &mut Vec<f64>, row: &Row) -> Result<(), EngineError> {
        for (step, count) in counts.iter_mut().enumerate() {
            *count += f64::from(u8::from(row.has(step)));
        }
        Ok(())
    }

    fn finish(&self, _: &Scope<'_>, counts: Vec<f64>, row: &mut Row) -> Result<(), EngineError> {
        for (to, count) in row.floats.iter_mut().zip(counts).filter(|(_, c)| *c > 0.0) {
            *to = count;
        }
        Ok(())
    }
}

/// `group`
pub(super) struct Present;

impl Fold for Present {
    type State = Vec<f64>;

    fn start(&self, steps: usize) -> Vec<f64> {
        vec![absent(); steps]
    }

    fn add(&self, _: &Scope<'_>, state: &mut Vec<f64>, row: &Row) -> Result<(), EngineError> {
        for (step, state) in state.iter_mut().enumerate() {
            if row.has(step) {
                *state = 1.0;
            }
        }
        Ok(())
    }

    fn finish(&self, _: &Scope<'_>, state: Vec<f64>, row: &mut Row) -> Result<(), EngineError> {
        row.floats.copy_from_slice(&state);
        Ok(())
    }
}

/// `min` and `max`; NaN only when there is nothing else.
pub(super) struct Extreme {
    pub(super) max: bool,
}

impl Fold for Extreme {
    type State = Vec<f64>;

    fn start(&self, steps: usize) -> Vec<f64> {
        vec![absent(); steps]
    }

    fn add(&self, scope: &Scope<'_>, state: &mut Vec<f64>, row: &Row) -> Result<(), EngineError> {
        if row.has_histograms() {
            scope.ignored(if self.max { "max" } else { "min" });
        }
        for (best, v) in state.iter_mut().zip(&row.floats).filter(|(_, v)| !is_absent(**v)) {
            // An absent best is NaN, too.
            let better = if self.max { *best < *v } else { *best > *v };
            if better || best.is_nan() {
                *best = *v;
            }
        }
        Ok(())
    }

    fn finish(&self, _: &Scope<'_>, state: Vec<f64>, row: &mut Row) -> Result<(), EngineError> {
        row.floats.copy_from_slice(&state);
        Ok(())
    }
}

/// `stddev` and `stdvar`, by Welford's method.
pub(super) struct Variance {
    pub(super) root: bool,
}

/// Count, mean and sum of squared distances.
#[derive(Clone, Copy, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Variance {
    type State = Vec<Moments>;

    fn start(&self, steps: usize) -> Vec<Moments> {
        vec![Moments::default(); steps]
    }

    fn add(
        &self,
        scope: &Scope<'_>,
        state: &mut Vec<Moments>,
        row: &Row,
    ) -> Result<(), EngineError> {
        if row.has_histograms() {
            scope.ignored(if self.root { "stddev" } else { "stdvar" });
        }
        for (m, v) in state.iter_mut().zip(&row.floats).filter(|(_, v)| !is_absent(**v)) {
            m.count += 1.0;
            if m.count == 1.0 {
                m.mean = *v;
                m.squares = if v.is_finite() { 0.0 } else { f64::NAN };
            } else {
                let delta = v - m.mean;
                m.mean += delta / m.count;
                m.squares += delta * (v - m.mean);
            }
        }
        Ok(())
    }

    fn finish(&self, _: &Scope<'_>, state: Vec<Moments>, row: &mut Row) -> Result<(), EngineError> {
        for (to, m) in row.floats.iter_mut().zip(state).filter(|(_, m)| m.count > 0.0) {
            let variance = m.squares / m.count;
            *to = if self.root { variance.sqrt() } else { variance };
        }
        Ok(())
    }
}
