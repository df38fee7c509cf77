//! Native histograms as JSON: count, sum, and the populated buckets with
//! their bounds, from the lowest to the highest.
//!
//! A bucket is `[boundaries, lower, upper, count]`; boundaries say which ends
//! belong to it: 0 the upper, 1 the lower, 2 neither, 3 both.

use varve_model::{Counts, Histogram, Span};
use varve_promql::value::bucket_bound;

use super::{push_float, push_list};

struct Bucket {
    lower: f64,
    upper: f64,
    lower_inclusive: bool,
    upper_inclusive: bool,
    count: f64,
}

/// Appends a histogram.
pub(super) fn push_histogram(out: &mut String, h: &Histogram) {
    out.push_str("{\"count\":");
    push_float(out, h.count());
    out.push_str(",\"sum\":");
    push_float(out, h.sum);
    let mut buckets = buckets(h);
    // What is empty is not shown; NaN is.
    buckets.retain(|b| b.count != 0.0);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        push_list(out, buckets, |out, b| {
            let boundaries = match (b.lower_inclusive, b.upper_inclusive) {
                (false, true) => '0',
                (true, false) => '1',
                (false, false) => '2',
                (true, true) => '3',
            };
            out.push('[');
            out.push(boundaries);
            for v in [b.lower, b.upper, b.count] {
                out.push(',');
                push_float(out, v);
            }
            out.push(']');
        });
    }
    out.push('}');
}

fn buckets(h: &Histogram) -> Vec<Bucket> {
    let (positive, negative): (Vec<f64>, Vec<f64>) = match &h.counts {
        Counts::Int { positive, negative, .. } => (
            positive.iter().map(|c| *c as f64).collect(),
            negative.iter().map(|c| *c as f64).collect(),
        ),
        Counts::Float { positive, negative, .. } => (positive.clone(), negative.clone()),
    };
    let mut out: Vec<Bucket> = indexed(&h.negative_spans, &negative)
        .map(|(index, count)| bucket(h, -bound(h, index), -bound(h, index - 1), count, index))
        .collect();
    out.reverse();
    // Prometheus shows no zero bucket that is negative or NaN.
    if h.zero_count() > 0.0 {
        out.push(Bucket {
            lower: -h.zero_threshold,
            upper: h.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: h.zero_count(),
        });
    }
    out.extend(
        indexed(&h.positive_spans, &positive)
            .map(|(index, count)| bucket(h, bound(h, index - 1), bound(h, index), count, index)),
    );
    // Where a bucket overlaps the zero bucket, it begins behind that.
    for b in &mut out {
        if b.upper < 0.0 && b.upper > -h.zero_threshold {
            b.upper = -h.zero_threshold;
        } else if b.lower > 0.0 && b.lower < h.zero_threshold {
            b.lower = h.zero_threshold;
        }
    }
    out
}

fn bucket(h: &Histogram, lower: f64, upper: f64, count: f64, index: i64) -> Bucket {
    let (lower_inclusive, upper_inclusive) =
        if h.uses_custom_buckets() { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
    Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
}

/// The counts with their bucket indexes.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0_i64;
    spans
        .iter()
        .flat_map(move |span| {
            let first = next + i64::from(span.offset);
            next = first + i64::from(span.length);
            first..next
        })
        .zip(counts.iter().copied())
}

/// The upper bound of a bucket (the absolute one, of a negative bucket).
fn bound(h: &Histogram, index: i64) -> f64 {
    if h.uses_custom_buckets() {
        return match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(i) => h.custom_bounds.get(i).copied().unwrap_or(f64::INFINITY),
        };
    }
    bucket_bound(index, h.schema)
}

#[cfg(test)]
mod tests {
    use varve_model::ResetHint;

    use super::*;

    fn shown(h: &Histogram) -> String {
        let mut out = String::new();
        push_histogram(&mut out, h);
        out
    }

    #[test]
    fn buckets_are_shown_with_their_bounds() {
        let mut h = Histogram {
            schema: 1,
            zero_threshold: 0.5,
            sum: 3.5,
            reset_hint: ResetHint::Gauge,
            positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
            negative_spans: vec![Span { offset: 2, length: 1 }],
            custom_bounds: Vec::new(),
            counts: Counts::Int { count: 9, zero: 2, positive: vec![1, 0, 3], negative: vec![3] },
        };
        let want = "{\"count\":\"9\",\"sum\":\"3.5\",\"buckets\":[\
            [1,\"-2\",\"-1.414213562373095\",\"3\"],\
            [3,\"-0.5\",\"0.5\",\"2\"],\
            [0,\"0.7071067811865475\",\"1\",\"1\"],\
            [0,\"2\",\"2.82842712474619\",\"3\"]]}";
        assert_eq!(shown(&h), want);
        h.zero_threshold = 0.8;
        h.counts = Counts::Float {
            count: 0.0,
            zero: -2.0,
            positive: vec![-1.0, 0.0, f64::NAN],
            negative: vec![0.0],
        };
        let want = "{\"count\":\"0\",\"sum\":\"3.5\",\"buckets\":[\
            [0,\"0.8\",\"1\",\"-1\"],[0,\"2\",\"2.82842712474619\",\"NaN\"]]}";
        assert_eq!(shown(&h), want);
        h.schema = -53;
        h.zero_threshold = 0.0;
        h.custom_bounds = vec![1.0, 5.0];
        h.negative_spans.clear();
        h.positive_spans = vec![Span { offset: 0, length: 3 }];
        h.counts = Counts::Float {
            count: 6.0,
            zero: 0.0,
            positive: vec![1.0, 2.0, 3.0],
            negative: vec![],
        };
        let want = "{\"count\":\"6\",\"sum\":\"3.5\",\"buckets\":[\
            [3,\"-Inf\",\"1\",\"1\"],[0,\"1\",\"5\",\"2\"],[0,\"5\",\"+Inf\",\"3\"]]}";
        assert_eq!(shown(&h), want);
        h.counts =
            Counts::Float { count: 0.0, zero: 0.0, positive: vec![0.0; 3], negative: vec![] };
        assert_eq!(shown(&h), "{\"count\":\"0\",\"sum\":\"3.5\"}");
    }
}
