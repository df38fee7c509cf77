//! A histogram to compute with.

use std::sync::Arc;

use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span};

use crate::eval::kahan::Sum;

/// Buckets by index, in order of index. Empty ones may be among them.
pub(crate) type Buckets = Vec<(i32, Sum)>;

/// A histogram whose numbers carry compensations.
#[derive(Clone, Debug)]
pub(crate) struct Float {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) zero: Sum,
    pub(crate) count: Sum,
    pub(crate) sum: Sum,
    pub(crate) hint: ResetHint,
    pub(crate) bounds: Arc<[f64]>,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
}

fn plain(sum: f64) -> Sum {
    Sum { sum, c: 0.0 }
}

impl Float {
    /// A sample, ready to compute with.
    pub(crate) fn of(h: &Histogram) -> Self {
        let (zero, count, positive, negative) = match &h.counts {
            Counts::Float { count, zero, positive, negative } => (
                *zero,
                *count,
                unroll(&h.positive_spans, positive.iter().copied()),
                unroll(&h.negative_spans, negative.iter().copied()),
            ),
            Counts::Int { count, zero, positive, negative } => (
                *zero as f64,
                *count as f64,
                unroll(&h.positive_spans, positive.iter().map(|c| *c as f64)),
                unroll(&h.negative_spans, negative.iter().map(|c| *c as f64)),
            ),
        };
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            // With custom buckets there is none; what an infinity has made of it
            // Prometheus loses with the next copy.
            zero: plain(if h.uses_custom_buckets() { 0.0 } else { zero }),
            count: plain(count),
            sum: plain(h.sum),
            hint: h.reset_hint,
            bounds: h.custom_bounds.as_slice().into(),
            positive,
            negative,
        }
    }

    /// A histogram without observations, of another's layout.
    pub(crate) fn empty_like(other: &Self) -> Self {
        Self {
            schema: other.schema,
            zero_threshold: 0.0,
            zero: Sum::default(),
            count: Sum::default(),
            sum: Sum::default(),
            hint: ResetHint::Unknown,
            bounds: Arc::clone(&other.bounds),
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }

    /// The sample, without what compensates.
    pub(crate) fn to_model(&self) -> Histogram {
        let (positive_spans, positive) = roll(&self.positive);
        let (negative_spans, negative) = roll(&self.negative);
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum.sum,
            reset_hint: self.hint,
            positive_spans,
            negative_spans,
            custom_bounds: self.bounds.to_vec(),
            counts: Counts::Float {
                count: self.count.sum,
                zero: self.zero.sum,
                positive,
                negative,
            },
        }
    }

    /// Whether the buckets have custom bounds.
    pub(crate) fn is_custom(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    fn each(&mut self, f: impl Fn(&mut f64)) {
        let numbers = [&mut self.zero, &mut self.count, &mut self.sum];
        let buckets = self.positive.iter_mut().chain(&mut self.negative).map(|(_, s)| s);
        for s in numbers.into_iter().chain(buckets) {
            f(&mut s.sum);
            f(&mut s.c);
        }
    }

    /// Multiplies all counts and the sum.
    pub(crate) fn multiply(&mut self, by: f64) {
        self.each(|v| *v *= by);
        if by < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum; by zero nothing remains in buckets.
    pub(crate) fn divide(&mut self, by: f64) {
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        for s in [&mut self.zero, &mut self.count, &mut self.sum] {
            s.sum /= by;
            // Nothing divided by zero would spoil the number.
            s.c = if s.c == 0.0 { 0.0 } else { s.c / by };
        }
        for (_, s) in self.positive.iter_mut().chain(&mut self.negative) {
            s.sum /= by;
            s.c /= by;
        }
        if by < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Adds the compensations to the numbers.
    pub(crate) fn settle(&mut self) {
        let numbers = [&mut self.zero, &mut self.count, &mut self.sum];
        let buckets = self.positive.iter_mut().chain(&mut self.negative).map(|(_, s)| s);
        for s in numbers.into_iter().chain(buckets) {
            *s = plain(s.sum + s.c);
        }
    }

    /// Removes empty buckets.
    pub(crate) fn compact(mut self) -> Self {
        self.positive.retain(|(_, s)| s.sum != 0.0);
        self.negative.retain(|(_, s)| s.sum != 0.0);
        self
    }

    /// Whether another has the same numbers in the same buckets, empty ones
    /// included. What is said of resets does not count.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let number = |a: &Sum, b: &Sum| a.sum.to_bits() == b.sum.to_bits();
        let buckets = |a: &Buckets, b: &Buckets| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && number(&a.1, &b.1))
        };
        self.schema == other.schema
            && self.bounds == other.bounds
            && self.zero_threshold == other.zero_threshold
            && number(&self.count, &other.count)
            && number(&self.sum, &other.sum)
            && number(&self.zero, &other.zero)
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
    }

    /// Whether any number is infinite.
    pub(crate) fn has_overflow(&self) -> bool {
        let buckets = self.positive.iter().chain(&self.negative).map(|(_, s)| s);
        [&self.zero, &self.count, &self.sum].into_iter().chain(buckets).any(|s| s.sum.is_infinite())
    }

    /// Merges buckets so that they fit a coarser exponential schema.
    pub(crate) fn reduce(&mut self, schema: i32) {
        self.reduce_by(schema, |into, from| into.sum += from.sum);
    }

    /// The same, gathering what rounding loses.
    pub(crate) fn reduce_compensated(&mut self, schema: i32) {
        self.reduce_by(schema, |into, from| {
            into.add(from.sum);
            into.add(from.c);
        });
    }

    fn reduce_by(&mut self, schema: i32, add: impl Fn(&mut Sum, Sum)) {
        if schema >= self.schema || self.is_custom() {
            return;
        }
        let shift = self.schema - schema;
        for buckets in [&mut self.positive, &mut self.negative] {
            for (index, _) in buckets.iter_mut() {
                *index = super::bounds::coarser(*index, shift);
            }
            buckets.dedup_by(|now, before| {
                let same = now.0 == before.0;
                if same {
                    add(&mut before.1, now.1);
                }
                same
            });
        }
        self.schema = schema;
    }
}

fn unroll(spans: &[Span], mut counts: impl Iterator<Item = f64>) -> Buckets {
    let mut buckets = Vec::new();
    let mut index = 0i32;
    for s in spans {
        index = index.saturating_add(s.offset);
        for _ in 0..s.length {
            let Some(count) = counts.next() else { return buckets };
            buckets.push((index, plain(count)));
            index = index.saturating_add(1);
        }
    }
    buckets
}

fn roll(buckets: &Buckets) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i32;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(last) if *index == next => last.length += 1,
            _ => spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.saturating_add(1);
    }
    (spans, buckets.iter().map(|(_, s)| s.sum).collect())
}
