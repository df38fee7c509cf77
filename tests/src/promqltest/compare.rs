//! Whether an answer is the expected one, within 1e-6.

use std::collections::HashSet;

use varve_model::{Histogram, Labels, is_stale};
use varve_promql::parse::SequenceValue;

use super::answer::{Answer, Point};
use super::memory::buckets;
use super::script::{Eval, Expected};
use super::shown::Shown;

const TOLERANCE: f64 = 1e-6;

/// The times of the values of an expected series.
pub(crate) struct Times {
    pub(crate) start: i64,
    pub(crate) step: i64,
}

/// Compares an answer.
pub(crate) fn compare(eval: &Eval, answer: &Answer, times: &Times) -> Result<(), String> {
    match (answer, &eval.expected) {
        (Answer::Scalar(value), Expected::Scalar(expected)) => same_float(*expected, *value),
        (Answer::String(value), Expected::String(expected)) if value == expected => Ok(()),
        (Answer::Vector(all), Expected::Series(expected)) => {
            let mut seen = HashSet::new();
            for (i, (labels, value)) in all.iter().enumerate() {
                let Some(at) = expected.iter().rposition(|(l, _)| l == labels) else {
                    return Err(format!("unexpected {labels} with {value:?}"));
                };
                if eval.ordered && at != i {
                    return Err(format!("{labels} is at {i}, expected at {at}"));
                }
                same(&expected[at].1[0], value).map_err(|e| format!("{labels}: {e}"))?;
                seen.insert(at);
            }
            missing(expected, &seen)
        }
        (Answer::Matrix(_), _) if eval.ordered => Err("a matrix has no order".to_owned()),
        (Answer::Matrix(all), Expected::Series(expected)) => {
            sorted(answer)?;
            let mut seen = HashSet::new();
            for (labels, points) in all {
                let Some(at) = expected.iter().rposition(|(l, _)| l == labels) else {
                    return Err(format!("unexpected {labels} with {points:?}"));
                };
                same_series(&expected[at].1, points, times)
                    .map_err(|e| format!("{labels}: {e}; got {points:?}"))?;
                seen.insert(at);
            }
            missing(expected, &seen)
        }
        (answer, _) => Err(format!("another answer was expected than {answer:?}")),
    }
}

/// A matrix has to be sorted by labels.
pub(crate) fn sorted(answer: &Answer) -> Result<(), String> {
    match answer {
        Answer::Matrix(all) if !all.is_sorted_by(|a, b| a.0 <= b.0) => {
            Err("the matrix is not sorted".to_owned())
        }
        Answer::Matrix(_) => Ok(()),
        other => Err(format!("a matrix was expected, got {other:?}")),
    }
}

fn missing(expected: &[(Labels, Vec<SequenceValue>)], seen: &HashSet<usize>) -> Result<(), String> {
    let last = |i: usize| !expected[i + 1..].iter().any(|(l, _)| *l == expected[i].0);
    match (0..expected.len()).find(|i| !seen.contains(i) && last(*i)) {
        Some(i) => Err(format!("{} is missing", expected[i].0)),
        None => Ok(()),
    }
}

fn same_series(
    expected: &[SequenceValue],
    points: &[(i64, Point)],
    times: &Times,
) -> Result<(), String> {
    let at = |(i, e)| (times.start + i as i64 * times.step, e);
    let there = |(_, e): &(i64, &SequenceValue)| !matches!(e, SequenceValue::Omitted);
    let expected: Vec<_> = expected.iter().enumerate().map(at).filter(there).collect();
    for ((t, e), (time, point)) in expected.iter().zip(points) {
        if t != time {
            return Err(format!("a point at {time}, expected at {t}"));
        }
        same(e, point).map_err(|e| format!("at {t}: {e}"))?;
    }
    match expected.len() == points.len() {
        true => Ok(()),
        false => Err(format!("{} points, expected {}", points.len(), expected.len())),
    }
}

fn same(expected: &SequenceValue, got: &Point) -> Result<(), String> {
    let equal = match (expected, got) {
        (SequenceValue::Float(e), Point::Float(v)) => return same_float(*e, *v),
        (SequenceValue::Histogram { histogram, hint_set }, Point::Histogram(h)) => {
            same_histogram(histogram, h, *hint_set)
        }
        (SequenceValue::Histogram { histogram, .. }, Point::Shown(h)) => {
            Shown::of(histogram).equals(h)
        }
        _ => false,
    };
    if equal { Ok(()) } else { Err(format!("expected {expected:?}, got {got:?}")) }
}

fn same_float(expected: f64, got: f64) -> Result<(), String> {
    match almost(expected, got) {
        true => Ok(()),
        false => Err(format!("expected {expected}, got {got}")),
    }
}

/// Whether two numbers are the same to the scripts.
pub(crate) fn almost(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < TOLERANCE * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < TOLERANCE
}

fn same_histogram(e: &Histogram, g: &Histogram, hint: bool) -> bool {
    let (a, b) = (buckets(e), buckets(g));
    e.schema == g.schema
        && almost(e.count(), g.count())
        && almost(e.sum, g.sum)
        && e.custom_bounds == g.custom_bounds
        && e.zero_threshold == g.zero_threshold
        && almost(e.zero_count(), g.zero_count())
        && a.len() == b.len()
        && a.iter().zip(&b).all(|(x, y)| (x.0, x.1) == (y.0, y.1) && almost(x.2, y.2))
        && (!hint || e.reset_hint == g.reset_hint)
}
