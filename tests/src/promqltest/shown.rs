//! Histograms as the HTTP API shows them: count, sum, and buckets by their
//! bounds; neither schema nor reset hint.

use serde_json::Value;
use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram};

use super::compare::almost;

/// A histogram as the HTTP API shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    count: f64,
    sum: f64,
    buckets: Vec<Bucket>,
}

#[derive(Clone, Debug)]
struct Bucket {
    /// 0 = upper bound inclusive, 1 = lower, 2 = neither, 3 = both.
    bounds: u64,
    lower: f64,
    upper: f64,
    count: f64,
}

impl Shown {
    /// Reads what the API shows; `None` when it is malformed.
    pub(crate) fn read(json: &Value) -> Option<Self> {
        let bucket = |b: &Value| {
            let parts = b.as_array().filter(|b| b.len() == 4)?;
            let bounds = parts[0].as_u64()?;
            Some(Bucket {
                bounds,
                lower: number(&parts[1])?,
                upper: number(&parts[2])?,
                count: number(&parts[3])?,
            })
        };
        let buckets = match &json["buckets"] {
            Value::Null => Vec::new(),
            list => list.as_array()?.iter().map(bucket).collect::<Option<_>>()?,
        };
        Some(Self { count: number(&json["count"])?, sum: number(&json["sum"])?, buckets })
    }

    /// What the API should show of a histogram.
    pub(crate) fn of(h: &Histogram) -> Self {
        let h = h.to_float();
        let Counts::Float { count, zero, positive, negative } = &h.counts else {
            unreachable!("float counts were asked for")
        };
        let mut buckets = Vec::new();
        for (index, count) in populated(&h.negative_spans, negative) {
            let (lower, upper) = (-bound(&h, index), -bound(&h, index - 1));
            let clip = upper < 0.0 && upper > -h.zero_threshold;
            let upper = if clip { -h.zero_threshold } else { upper };
            buckets.push(Bucket { bounds: ends(lower < 0.0, upper > 0.0), lower, upper, count });
        }
        buckets.reverse();
        // One that is negative or NaN is not shown.
        if *zero > 0.0 {
            let (lower, upper) = (-h.zero_threshold, h.zero_threshold);
            buckets.push(Bucket { bounds: 3, lower, upper, count: *zero });
        }
        for (index, count) in populated(&h.positive_spans, positive) {
            let (lower, upper) = (bound(&h, index - 1), bound(&h, index));
            let clip = lower > 0.0 && lower < h.zero_threshold;
            let bounds = match h.schema == CUSTOM_BUCKETS_SCHEMA {
                true => ends(index == 0, true),
                false => ends(lower < 0.0, upper > 0.0),
            };
            let lower = if clip { h.zero_threshold } else { lower };
            buckets.push(Bucket { bounds, lower, upper, count });
        }
        Self { count: *count, sum: h.sum, buckets }
    }

    /// Whether both show the same.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let same = |a: &Bucket, b: &Bucket| {
            a.bounds == b.bounds
                && almost(a.lower, b.lower)
                && almost(a.upper, b.upper)
                && almost(a.count, b.count)
        };
        almost(self.count, other.count)
            && almost(self.sum, other.sum)
            && self.buckets.len() == other.buckets.len()
            && self.buckets.iter().zip(&other.buckets).all(|(a, b)| same(a, b))
    }
}

/// Which ends belong to a bucket, as the API numbers it.
fn ends(lower: bool, upper: bool) -> u64 {
    match (lower, upper) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}

/// A number of the API: text.
pub(crate) fn number(json: &Value) -> Option<f64> {
    json.as_str()?.parse().ok()
}

/// Buckets that hold something: index and count.
fn populated(spans: &[varve_model::Span], counts: &[f64]) -> Vec<(i64, f64)> {
    let (mut out, mut index, mut counts) = (Vec::new(), 0, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let count = counts.next().copied().unwrap_or(0.0);
            if count != 0.0 {
                out.push((index, count));
            }
            index += 1;
        }
    }
    out
}

/// The upper bound of a positive bucket.
fn bound(h: &Histogram, index: i64) -> f64 {
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        return match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(i) => h.custom_bounds.get(i).copied().unwrap_or(f64::INFINITY),
        };
    }
    let exponent = index as f64 * f64::from(-h.schema).exp2();
    // The last bucket of finite values ends at the greatest of them.
    if exponent == 1024.0 { f64::MAX } else { exponent.exp2() }
}
