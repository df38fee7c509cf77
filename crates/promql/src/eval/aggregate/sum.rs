//! `sum` and `avg`, of floats or of histograms; a group that has both at a
//! step has no result there.

use super::super::histogram::aggregate::Total;
use super::super::kahan::{Mean, Sum};
use super::super::row::{Row, is_absent};
use super::fold::{Fold, Scope};
use crate::annotations::Annotation;
use crate::ast::AggregateOp;
use crate::engine::EngineError;

/// `sum` or `avg`.
pub(super) enum Kind {
    Sum,
    Avg,
}

impl Kind {
    pub(super) fn of(op: AggregateOp) -> Self {
        if op == AggregateOp::Avg { Self::Avg } else { Self::Sum }
    }
}

/// The floats of a group at each step.
pub(super) struct State {
    sums: Vec<Option<Float>>,
    /// A cell a step, when there is any histogram.
    histograms: Option<Vec<Option<Box<Total>>>>,
}

#[derive(Clone, Copy)]
enum Float {
    Sum(Sum),
    Mean(Mean),
}

impl Fold for Kind {
    type State = State;

    fn start(&self, steps: usize) -> State {
        State { sums: vec![None; steps], histograms: None }
    }

    fn memory(steps: usize) -> usize {
        steps * size_of::<Option<Float>>()
    }

    fn add(&self, scope: &Scope<'_>, state: &mut State, row: &Row) -> Result<(), EngineError> {
        let State { sums, histograms: totals } = state;
        let present = sums.iter_mut().zip(&row.floats).enumerate();
        for (step, (sum, v)) in present.filter(|(_, (_, v))| !is_absent(**v)) {
            let total = totals.as_ref().and_then(|totals| totals[step].as_ref());
            // Once histograms do not fit each other nothing is looked at any more.
            if sum.is_none() && total.is_some_and(|t| t.failed()) {
                continue;
            }
            match (sum, self) {
                (Some(Float::Sum(sum)), _) => sum.add(*v),
                (Some(Float::Mean(mean)), _) => mean.add(*v),
                (sum, Self::Sum) => *sum = Some(Float::Sum(Sum { sum: *v, c: 0.0 })),
                (sum, Self::Avg) => *sum = Some(Float::Mean(Mean::new(*v))),
            }
        }
        let Some(histograms) = &row.histograms else { return Ok(()) };
        let totals = totals.get_or_insert_with(|| {
            let mut totals = Vec::new();
            totals.resize_with(scope.steps, || None);
            totals
        });
        for ((total, sum), h) in totals.iter_mut().zip(sums).zip(histograms.iter()) {
            let Some(h) = h else { continue };
            match total {
                None => {
                    let mut new = Total::new(h, matches!(self, Self::Avg));
                    // Where a float came first histograms are not added up.
                    if sum.is_some() {
                        new.fail();
                    }
                    *total = Some(Box::new(new));
                }
                Some(total) => {
                    let failed = total.failed();
                    total.add(h);
                    if total.failed() && !failed {
                        let metric = row.labels.metric_name();
                        let text = Annotation::mixed_exponential_custom(metric, scope.span);
                        scope.ctx.annotate(text);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&self, scope: &Scope<'_>, state: State, row: &mut Row) -> Result<(), EngineError> {
        let mut histograms = state.histograms.unwrap_or_default().into_iter();
        for (step, sum) in state.sums.into_iter().enumerate() {
            let total = histograms.next().flatten();
            if let Some(total) = &total {
                total.tell_reconciled(&|a| scope.ctx.annotate(a), scope.span);
            }
            match (sum, total) {
                (Some(_), Some(_)) => {
                    let text = Annotation::mixed_floats_histograms_aggregation(scope.span);
                    scope.ctx.annotate(text);
                }
                (Some(Float::Sum(sum)), None) => row.floats[step] = sum.value(),
                (Some(Float::Mean(mean)), None) => row.floats[step] = mean.value(),
                (None, Some(total)) if total.failed() => {}
                (None, Some(total)) => {
                    let say = |a| scope.ctx.annotate(a);
                    if let Some(h) = total.finish_compact(&say, scope.span, "") {
                        row.set_histogram(step, h);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }
}
