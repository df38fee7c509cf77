//! Quantiles, fractions and variances of native histograms.
//!
//! Source: Prometheus, promql/quantile.go. Observations are taken to lie
//! evenly on a logarithmic scale within exponential buckets, evenly within
//! custom ones and the zero bucket.

use varve_model::Histogram;

use super::Float;
use super::bounds::{Bucket, ascending_clipped};
use crate::annotations::Annotation;
use crate::ast::Span;
use crate::eval::context::Context;
use crate::eval::kahan::Sum;

/// Variance, each bucket's observations taken to lie in its middle.
pub(crate) fn variance(h: &Histogram) -> f64 {
    let custom = h.uses_custom_buckets();
    let mean = h.sum / h.count();
    let mut variance = Sum::default();
    for b in ascending_clipped(&Float::of(h)).iter().filter(|b| b.count != 0.0) {
        let value = if custom {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let middle = (b.upper * b.lower).sqrt();
            if b.upper < 0.0 { -middle } else { middle }
        };
        let delta = value - mean;
        variance.add(b.count * delta * delta);
    }
    variance.value() / h.count()
}

/// The zero bucket of a histogram with buckets on one side only has
/// observations on that side only.
fn one_sided(h: &Float, b: &mut Bucket) {
    match (h.negative.is_empty(), h.positive.is_empty()) {
        (true, false) => b.lower = 0.0,
        (false, true) => b.upper = 0.0,
        _ => {}
    }
}

/// The quantile of a histogram; says when NaN observations are in the way.
pub(crate) fn quantile(ctx: &Context<'_>, q: f64, h: &Histogram, name: &str, span: Span) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let total = h.count();
    if total == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    let custom = h.uses_custom_buckets();
    let float = Float::of(h);
    let mut buckets = ascending_clipped(&float);
    // NaN observations are counted but in no bucket, so that ranks only hold
    // from below.
    let from_below = h.sum.is_nan() || q < 0.5;
    let mut rank = if from_below { q * total } else { (1.0 - q) * total };
    if !from_below {
        buckets.reverse();
    }
    let nothing = Bucket {
        lower: 0.0,
        upper: 0.0,
        count: 0.0,
        lower_inclusive: false,
        upper_inclusive: false,
    };
    let (mut bucket, mut count, mut seen) = (nothing, 0.0, 0);
    for b in &buckets {
        seen += 1;
        bucket = *b;
        if b.count == 0.0 {
            continue;
        }
        count += b.count;
        if count >= rank {
            break;
        }
    }
    if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        one_sided(&float, &mut bucket);
    } else if custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    }
    if count > total {
        count = total;
    }
    if count < rank {
        if h.sum.is_nan() {
            ctx.annotate(Annotation::quantile_nan_result(name, span));
            return f64::NAN;
        }
        return bucket.upper;
    }
    rank = if from_below { rank - (count - bucket.count) } else { count - rank };
    if h.sum.is_nan() {
        let rest: f64 = buckets[seen..].iter().map(|b| b.count).sum();
        if count + rest < total {
            ctx.annotate(Annotation::quantile_nan_skew(name, span));
        }
        // Having counted the rest, Prometheus interpolates in the last bucket.
        if seen < buckets.len() {
            bucket = buckets[buckets.len() - 1];
        }
    }
    let fraction = rank / bucket.count;
    if custom || bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    match bucket.lower > 0.0 {
        true => (lower + (upper - lower) * fraction).exp2(),
        false => -(upper + (lower - upper) * (1.0 - fraction)).exp2(),
    }
}

/// The part of all observations that lies between two values.
pub(crate) fn fraction(
    ctx: &Context<'_>,
    lower: f64,
    upper: f64,
    h: &Histogram,
    name: &str,
    span: Span,
) -> f64 {
    let total = h.count();
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let custom = h.uses_custom_buckets();
    let float = Float::of(h);
    let buckets = ascending_clipped(&float);
    let (mut count, mut rank) = (0.0, 0.0);
    let (mut lower_rank, mut upper_rank) = (None, None);
    let mut seen = 0;
    for b in &buckets {
        seen += 1;
        let mut b = *b;
        count += b.count;
        let zero = b.lower <= 0.0 && b.upper >= 0.0;
        if zero {
            one_sided(&float, &mut b);
        }
        let linear = custom || zero;
        let within = |v: f64| match linear && b.lower == f64::NEG_INFINITY {
            true => b.count,
            false => rank + b.count * b.below(v, linear),
        };
        for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && b.lower >= bound {
                *found = Some(rank);
            } else if found.is_none() && b.upper > bound {
                *found = Some(within(bound));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += b.count;
    }
    if h.sum.is_nan() {
        count += buckets[seen..].iter().map(|b| b.count).sum::<f64>();
        if count < total {
            ctx.annotate(Annotation::fraction_nan(name, span));
        }
    } else {
        count = total;
    }
    let of = |rank: Option<f64>| rank.map_or(count, |r| if r > count { count } else { r });
    (of(upper_rank) - of(lower_rank)) / total
}
