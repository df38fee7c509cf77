//! Sums and averages of native histograms, with compensation. An average is a
//! plain sum and count while that does not overflow, then an incremental mean.

use std::sync::Arc;

use varve_model::{Histogram, ResetHint};

use super::{Float, Incompatible};
use crate::annotations::{Annotation, HistogramOperation};
use crate::ast::Span;

/// The sum or average of some histograms.
pub(crate) struct Total {
    value: Float,
    average: bool,
    count: f64,
    incremental: bool,
    /// Whether exponential met custom buckets.
    failed: bool,
    reconciled: bool,
    reset_seen: bool,
    no_reset_seen: bool,
}

impl Total {
    /// A total of one histogram.
    pub(crate) fn new(h: &Histogram, average: bool) -> Self {
        let mut total = Self {
            value: Float::of(h),
            average,
            count: 1.0,
            incremental: false,
            failed: false,
            reconciled: false,
            reset_seen: false,
            no_reset_seen: false,
        };
        total.look(h);
        total
    }

    fn look(&mut self, h: &Histogram) {
        self.reset_seen |= h.reset_hint == ResetHint::CounterReset;
        self.no_reset_seen |= h.reset_hint == ResetHint::NotCounterReset;
    }

    /// Whether nothing can come of it any more.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// From now on nothing can come of it.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    /// Says that bounds had to be reconciled, when they had.
    pub(crate) fn tell_reconciled(&self, say: &dyn Fn(Annotation), span: Span) {
        if self.reconciled {
            let operation = HistogramOperation::Aggregation;
            say(Annotation::mismatched_custom_buckets(operation, span));
        }
    }

    /// Takes another histogram in.
    pub(crate) fn add(&mut self, h: &Histogram) {
        if self.failed {
            return;
        }
        self.count += 1.0;
        self.look(h);
        if let Err(Incompatible) = self.try_add(Float::of(h)) {
            self.failed = true;
        }
    }

    fn try_add(&mut self, mut h: Float) -> Result<(), Incompatible> {
        if !self.average {
            self.reconciled |= self.value.add_compensated(&h)?.reconciled;
            return Ok(());
        }
        let n = self.count;
        if !self.incremental {
            let mut next = self.value.clone();
            self.reconciled |= next.add_compensated(&h)?.reconciled;
            if !next.has_overflow() {
                self.value = next;
                return Ok(());
            }
            self.incremental = true;
            self.value.divide(n - 1.0);
        }
        self.value.multiply((n - 1.0) / n);
        h.divide(n);
        self.reconciled |= self.value.add_compensated(&h)?.reconciled;
        Ok(())
    }

    /// The total; `None` when exponential and custom buckets met. What was
    /// found on the way is said.
    pub(crate) fn finish(
        mut self,
        say: &dyn Fn(Annotation),
        span: Span,
        metric: &str,
    ) -> Option<Float> {
        // Where nothing comes of it, nothing else is said.
        if self.failed {
            say(Annotation::mixed_exponential_custom(metric, span));
            return None;
        }
        self.tell_reconciled(say, span);
        if self.reset_seen && self.no_reset_seen {
            let operation = HistogramOperation::Aggregation;
            say(Annotation::counter_reset_collision(operation, span));
        }
        if self.average && !self.incremental {
            self.value.divide(self.count);
        }
        // One alone stays as it is, down to the sign of a zero.
        if self.count > 1.0 {
            self.value.settle();
        }
        Some(self.value)
    }

    /// The same, empty buckets removed.
    pub(crate) fn finish_compact(
        self,
        say: &dyn Fn(Annotation),
        span: Span,
        metric: &str,
    ) -> Option<Arc<Histogram>> {
        Some(Arc::new(self.finish(say, span, metric)?.compact().to_model()))
    }
}
