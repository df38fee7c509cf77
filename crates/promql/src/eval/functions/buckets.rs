//! Quantiles and fractions of classic histograms.
//!
//! Source: Prometheus, promql/quantile.go.

/// A bucket: observations up to `bound`, those of lower buckets included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) bound: f64,
    pub(crate) count: f64,
}

/// How counts had to be corrected because they went down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forced {
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
}

/// Relative differences up to this are taken for rounding errors.
const SMALL_DELTA: f64 = 1e-12;

/// What asking for these quantiles leaves of the buckets. Prometheus merges
/// buckets of one bound in place and keeps what is behind the merged ones, so
/// that the quantiles of one call depend on those before them.
pub(crate) fn asked(quantiles: impl Iterator<Item = f64>, buckets: &mut [Bucket]) {
    sort(buckets);
    if buckets.windows(2).any(|w| w[0].bound == w[1].bound) {
        for q in quantiles {
            quantile(q, buckets);
        }
    }
}

/// The quantile, and whether counts had to be corrected. `buckets` is sorted
/// and merged on the way; it must not be empty.
pub(crate) fn quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(buckets) = prepare(buckets) else { return (f64::NAN, None) };
    let forced = force_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * observations;
    let b = first_index(last, |i| buckets[i].count >= rank);
    let value = if b == last {
        buckets[last - 1].bound
    } else if b == 0 && buckets[0].bound <= 0.0 {
        buckets[0].bound
    } else {
        let mut start = 0.0;
        let end = buckets[b].bound;
        let mut count = buckets[b].count;
        if b > 0 {
            start = buckets[b - 1].bound;
            count -= buckets[b - 1].count;
            rank -= buckets[b - 1].count;
        }
        start + (end - start) * (rank / count)
    };
    (value, forced)
}

/// The part of observations between two bounds.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut [Bucket]) -> f64 {
    let Some(buckets) = prepare(buckets) else { return f64::NAN };
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut rank = 0.0;
    let mut low = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let (mut lower_rank, mut upper_rank) = (None, None);
    for b in buckets.iter() {
        let linear = |v: f64| match low == f64::NEG_INFINITY {
            true => b.count,
            false => rank + (b.count - rank) * (v - low) / (b.bound - low),
        };
        for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && low >= bound {
                *found = Some(rank);
            } else if found.is_none() && b.bound > bound {
                *found = Some(linear(bound));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = b.count;
        low = b.bound;
    }
    let of = |rank: Option<f64>| rank.map_or(count, |r| if r > count { count } else { r });
    (of(upper_rank) - of(lower_rank)) / count
}

/// Go's `sort.Search`: the first index below `n` for which `f` holds, else `n`.
fn first_index(n: usize, f: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = (low + high) / 2;
        if f(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Sorts by bound and adds buckets with the same bound up; `None` when there is
/// no bucket for everything. What is left over stays behind them.
fn prepare(buckets: &mut [Bucket]) -> Option<&mut [Bucket]> {
    sort(buckets);
    if buckets.last().is_none_or(|b| b.bound != f64::INFINITY) {
        return None;
    }
    let mut last = 0;
    for i in 1..buckets.len() {
        let next = buckets[i];
        if next.bound == buckets[last].bound {
            buckets[last].count += next.count;
        } else {
            last += 1;
            buckets[last] = next;
        }
    }
    Some(&mut buckets[..=last])
}

fn sort(buckets: &mut [Bucket]) {
    buckets.sort_by(|a, b| a.bound.partial_cmp(&b.bound).unwrap_or(std::cmp::Ordering::Equal));
}

fn force_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == before {
            continue;
        }
        if almost_equal(before, b.count) {
            b.count = before;
            continue;
        }
        if b.count < before {
            let f = forced.get_or_insert(Forced {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            f.min_bucket = f.min_bucket.min(b.bound);
            f.max_bucket = f.max_bucket.max(b.bound);
            f.max_diff = f.max_diff.max(before - b.count);
            b.count = before;
            continue;
        }
        before = b.count;
    }
    forced
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let diff = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Vec<Bucket> {
        of.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        let of = [(f64::INFINITY, 8.0), (1.0, 4.0), (2.0, 8.0)];
        assert_eq!(quantile(0.5, &mut buckets(&of)).0, 1.0);
        assert_eq!(quantile(0.75, &mut buckets(&of)).0, 1.5);
        assert_eq!(quantile(1.1, &mut buckets(&of)).0, f64::INFINITY);
        assert!(quantile(0.5, &mut buckets(&of[1..])).0.is_nan());
    }

    #[test]
    fn counts_that_go_down_are_told() {
        let of = [(1.0, 4.0), (2.0, 3.0), (f64::INFINITY, 8.0)];
        let forced = Forced { min_bucket: 2.0, max_bucket: 2.0, max_diff: 1.0 };
        assert_eq!(quantile(0.5, &mut buckets(&of)).1, Some(forced));
    }

    #[test]
    fn one_quantile_leaves_other_buckets_to_the_next() {
        let mut of = buckets(&[(1.0, 1.0), (1.0, 1.0), (5.0, 1.0), (f64::INFINITY, 9.0)]);
        asked([2.0, 0.5].into_iter(), &mut of);
        let left: Vec<(f64, f64)> = of.iter().map(|b| (b.bound, b.count)).collect();
        let infinity = f64::INFINITY;
        assert_eq!(left, [(1.0, 2.0), (5.0, 2.0), (infinity, 9.0), (infinity, 9.0)]);
    }

    #[test]
    fn fractions_are_interpolated_within_a_bucket() {
        let of = [(1.0, 4.0), (2.0, 8.0), (f64::INFINITY, 8.0)];
        assert_eq!(fraction(0.5, 1.5, &mut buckets(&of)), 0.5);
        assert_eq!(fraction(2.0, 1.0, &mut buckets(&of)), 0.0);
    }
}
