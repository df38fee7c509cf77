//! Whether a histogram's counter was reset.

use varve_model::{Histogram, ResetHint};

use super::Float;
use super::arithmetic::{common, onto};
use super::bounds::exponential;
use super::float::Buckets;

/// Whether there was a reset between two histograms: what the newer one says,
/// else whether any count went down.
pub(crate) fn detect_reset(now: &Histogram, before: &Histogram) -> bool {
    match now.reset_hint {
        ResetHint::CounterReset => true,
        ResetHint::NotCounterReset => false,
        // Gauges are compared like counters by functions of counters.
        ResetHint::Unknown | ResetHint::Gauge => {
            now.count() < before.count() || went_down(&Float::of(now), &Float::of(before))
        }
    }
}

/// The same for histograms that were computed.
pub(crate) fn detect_reset_float(now: &Float, before: &Float) -> bool {
    match now.hint {
        ResetHint::CounterReset => true,
        ResetHint::NotCounterReset => false,
        ResetHint::Unknown | ResetHint::Gauge => {
            now.count.sum < before.count.sum || went_down(now, before)
        }
    }
}

fn went_down(now: &Float, before: &Float) -> bool {
    if now.is_custom() {
        if !before.is_custom() {
            return true;
        }
        if now.bounds != before.bounds {
            let bounds = common(&now.bounds, &before.bounds);
            let current = onto(&now.positive, &now.bounds, &bounds);
            let previous = onto(&before.positive, &before.bounds, &bounds);
            return current.iter().zip(&previous).any(|(now, before)| now.sum < before.sum);
        }
    }
    if now.schema > before.schema || now.zero_threshold < before.zero_threshold {
        return true;
    }
    let (zero, threshold) = before.wider_zero(now.zero_threshold);
    if threshold != now.zero_threshold || now.zero.sum < zero.sum {
        return true;
    }
    let mut reduced = before.clone();
    reduced.reduce(now.schema);
    let custom = now.is_custom();
    let outside = |i: i32| custom || exponential(i, now.schema) > now.zero_threshold;
    any_less(&now.positive, &reduced.positive, outside)
        || any_less(&now.negative, &reduced.negative, outside)
}

/// Whether a populated bucket is gone or holds less.
fn any_less(now: &Buckets, before: &Buckets, wanted: impl Fn(i32) -> bool) -> bool {
    let mut rest = now.iter().peekable();
    before.iter().filter(|(i, _)| wanted(*i)).any(|(index, count)| {
        while rest.next_if(|(i, _)| i < index).is_some() {}
        match rest.peek().filter(|(i, _)| i == index) {
            Some((_, current)) => current.sum < count.sum,
            None => count.sum != 0.0,
        }
    })
}
