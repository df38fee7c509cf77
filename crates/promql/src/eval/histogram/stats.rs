//! Histograms without their buckets, where only count and sum are asked for.
//!
//! What buckets tell of resets is written into the hints first, as Prometheus'
//! `HistogramStatsIterator` does; so functions further out find resets, and
//! may find that they contradict each other.

use std::sync::Arc;

use varve_model::{Counts, Histogram, HistogramSamples, ResetHint, TimeRange};

use super::detect_reset;

/// The samples in a range, with count, sum and hint only. Stale markers remain.
pub(crate) fn stats(samples: HistogramSamples, range: TimeRange) -> HistogramSamples {
    let mut out = HistogramSamples::default();
    let mut before: Option<&Histogram> = None;
    for (i, h) in samples.values.iter().enumerate() {
        if !range.contains(samples.times[i]) {
            continue;
        }
        let hint = match (h.reset_hint, before) {
            // A reset that storage tells of lies between these two samples.
            (ResetHint::Unknown | ResetHint::CounterReset, Some(before)) if !h.is_stale() => {
                let known = h.reset_hint == ResetHint::CounterReset;
                match known || detect_reset(h, before) {
                    true => ResetHint::CounterReset,
                    false => ResetHint::NotCounterReset,
                }
            }
            (ResetHint::CounterReset, None) => ResetHint::Unknown,
            (hint, _) => hint,
        };
        if !h.is_stale() {
            before = Some(h);
        }
        out.push(samples.times[i], Arc::new(stripped(h, hint)), samples.start(i));
    }
    out
}

fn stripped(h: &Histogram, reset_hint: ResetHint) -> Histogram {
    Histogram {
        schema: h.schema,
        zero_threshold: 0.0,
        sum: h.sum,
        reset_hint,
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Float {
            count: h.count(),
            zero: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
        },
    }
}
