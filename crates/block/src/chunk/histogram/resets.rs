//! Whether a histogram shows a counter reset against the one before it, by the
//! rules by which Prometheus appends to a histogram chunk.
//!
//! Where those rules start a new chunk without a verdict (after a stale
//! marker, a change of schema, of the zero threshold or of the kind of counts)
//! the verdict is that it is unknown, and whoever reads compares.

use varve_model::{Counts, Histogram, ResetHint, Span};

use super::layout::{self, indexes, named};

/// The hint that readers of `h` get, `before` being the sample before it.
pub(crate) fn verdict(before: Option<&Histogram>, h: &Histogram) -> ResetHint {
    if h.reset_hint == ResetHint::Gauge {
        return ResetHint::Gauge;
    }
    let Some(before) = before else { return ResetHint::Unknown };
    if h.is_stale() || before.is_stale() || before.reset_hint == ResetHint::Gauge {
        return ResetHint::Unknown;
    }
    if h.reset_hint == ResetHint::CounterReset {
        return ResetHint::CounterReset;
    }
    let same_bounds = before.custom_bounds.len() == h.custom_bounds.len()
        && before.custom_bounds.iter().zip(&h.custom_bounds).all(|(a, b)| a == b);
    if before.schema != h.schema || before.zero_threshold != h.zero_threshold || !same_bounds {
        return ResetHint::Unknown;
    }
    // Counts that their spans do not name one by one cannot be compared.
    let regular = |h: &Histogram| {
        let (positive, negative) = layout::lens(h);
        (named(&h.positive_spans), named(&h.negative_spans)) == (Some(positive), Some(negative))
    };
    if !regular(before) || !regular(h) {
        return ResetHint::Unknown;
    }
    let fell = match (&before.counts, &h.counts) {
        (
            Counts::Int { count: a, zero: az, positive: ap, negative: an },
            Counts::Int { count: b, zero: bz, positive: bp, negative: bn },
        ) => {
            b < a
                || bz < az
                || buckets_fell(&before.positive_spans, ap, &h.positive_spans, bp)
                || buckets_fell(&before.negative_spans, an, &h.negative_spans, bn)
        }
        (
            Counts::Float { count: a, zero: az, positive: ap, negative: an },
            Counts::Float { count: b, zero: bz, positive: bp, negative: bn },
        ) => {
            let numbers = [a, az, b, bz];
            let mut all = numbers.into_iter().chain(ap).chain(an).chain(bp).chain(bn);
            if all.any(|v| v.is_nan()) {
                return ResetHint::Unknown;
            }
            b < a
                || bz < az
                || buckets_fell(&before.positive_spans, ap, &h.positive_spans, bp)
                || buckets_fell(&before.negative_spans, an, &h.negative_spans, bn)
        }
        _ => return ResetHint::Unknown,
    };
    if fell { ResetHint::CounterReset } else { ResetHint::NotCounterReset }
}

/// Whether a bucket holds less than before, or has gone while it held something.
fn buckets_fell<T: Copy + PartialOrd + Default>(
    spans_before: &[Span],
    before: &[T],
    spans: &[Span],
    now: &[T],
) -> bool {
    if spans_before == spans && before.len() == now.len() {
        return before.iter().zip(now).any(|(a, b)| b < a);
    }
    let mut now = indexes(spans).zip(now).peekable();
    for (index, &count) in indexes(spans_before).zip(before) {
        while now.next_if(|(i, _)| *i < index).is_some() {}
        let found = now.peek().filter(|(i, _)| *i == index).map_or(T::default(), |(_, c)| **c);
        if found < count {
            return true;
        }
    }
    false
}
