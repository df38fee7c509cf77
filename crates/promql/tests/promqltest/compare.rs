//! Whether an answer is the expected one, within 1e-6.

use std::collections::HashSet;

use varve_model::{Histogram, Series, is_stale};
use varve_promql::parse::SequenceValue;
use varve_promql::value::{QueryValue, Value};

use crate::script::{Eval, Expected};
use crate::store::buckets;

const TOLERANCE: f64 = 1e-6;

/// The times of the values of an expected series.
pub(crate) struct Times {
    pub(crate) start: i64,
    pub(crate) step: i64,
}

/// Compares an answer.
pub(crate) fn compare(eval: &Eval, value: &QueryValue, times: &Times) -> Result<(), String> {
    match (value, &eval.expected) {
        (QueryValue::Scalar { value, .. }, Expected::Scalar(expected)) => {
            same_float(*expected, *value)
        }
        (QueryValue::String { value, .. }, Expected::String(expected)) => {
            let got = String::from_utf8_lossy(value);
            if got == *expected {
                Ok(())
            } else {
                Err(format!("expected {expected:?}, got {got:?}"))
            }
        }
        (QueryValue::Vector(samples), Expected::Series(expected)) => {
            let mut seen = HashSet::new();
            for (i, s) in samples.iter().enumerate() {
                let at = expected.iter().rposition(|(l, _)| *l == s.labels);
                let Some(at) = at else {
                    return Err(format!("unexpected {} with {:?}", s.labels, s.value));
                };
                if eval.ordered && at != i {
                    return Err(format!("{} is at {i}, expected at {at}", s.labels));
                }
                let what = |e| format!("{}: {e}", s.labels);
                same(&expected[at].1[0], &s.value).map_err(what)?;
                seen.insert(at);
            }
            missing(expected, &seen)
        }
        (QueryValue::Matrix(all), Expected::Series(expected)) => {
            if eval.ordered {
                return Err("a matrix has no order".to_owned());
            }
            sorted(all)?;
            let mut seen = HashSet::new();
            for s in all {
                let at = expected.iter().rposition(|(l, _)| *l == s.labels);
                let Some(at) = at else {
                    return Err(format!("unexpected {} with {}", s.labels, shown(s)));
                };
                same_series(&expected[at].1, s, times)
                    .map_err(|e| format!("{}: {e}; got {}", s.labels, shown(s)))?;
                seen.insert(at);
            }
            missing(expected, &seen)
        }
        (value, _) => Err(format!("another type of answer was expected than {value:?}")),
    }
}

fn shown(s: &Series) -> String {
    format!("{:?} {:?}", s.floats, s.histograms)
}

/// A matrix has to be sorted by labels.
pub(crate) fn sorted(all: &[Series]) -> Result<(), String> {
    match all.is_sorted_by(|a, b| a.labels <= b.labels) {
        true => Ok(()),
        false => Err("the matrix is not sorted".to_owned()),
    }
}

fn missing(
    expected: &[(varve_model::Labels, Vec<SequenceValue>)],
    seen: &HashSet<usize>,
) -> Result<(), String> {
    let last = |i: usize| !expected[i + 1..].iter().any(|(l, _)| *l == expected[i].0);
    match (0..expected.len()).find(|i| !seen.contains(i) && last(*i)) {
        Some(i) => Err(format!("{} is missing", expected[i].0)),
        None => Ok(()),
    }
}

fn same_series(expected: &[SequenceValue], s: &Series, times: &Times) -> Result<(), String> {
    let (mut f, mut h) = (0, 0);
    for (i, e) in expected.iter().enumerate() {
        let t = times.start + i as i64 * times.step;
        match e {
            SequenceValue::Omitted => {}
            SequenceValue::Float(v) => {
                if s.floats.times.get(f) != Some(&t) {
                    return Err(format!("no float at {t}"));
                }
                same_float(*v, s.floats.values[f]).map_err(|e| format!("at {t}: {e}"))?;
                f += 1;
            }
            SequenceValue::Histogram { .. } => {
                if s.histograms.times.get(h) != Some(&t) {
                    return Err(format!("no histogram at {t}"));
                }
                let got = Value::Histogram(s.histograms.values[h].clone());
                same(e, &got).map_err(|e| format!("at {t}: {e}"))?;
                h += 1;
            }
        }
    }
    match (f, h) == (s.floats.len(), s.histograms.len()) {
        true => Ok(()),
        false => Err(format!("expected {f} floats and {h} histograms")),
    }
}

fn same(expected: &SequenceValue, got: &Value) -> Result<(), String> {
    match (expected, got) {
        (SequenceValue::Float(e), Value::Float(v)) => same_float(*e, *v),
        (SequenceValue::Histogram { histogram, hint_set }, Value::Histogram(h)) => {
            match same_histogram(histogram, h, *hint_set) {
                true => Ok(()),
                false => Err(format!("expected {histogram:?}, got {h:?}")),
            }
        }
        (e, v) => Err(format!("expected {e:?}, got {v:?}")),
    }
}

fn same_float(expected: f64, got: f64) -> Result<(), String> {
    match almost(expected, got) {
        true => Ok(()),
        false => Err(format!("expected {expected}, got {got}")),
    }
}

fn almost(a: f64, b: f64) -> bool {
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
