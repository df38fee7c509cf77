//! Answers do not depend on how a query is asked: a range query gives at each
//! step what an instant query gives there, and neither the size of batches
//! nor the order of series changes anything.

use proptest::prelude::*;
use varve_model::{Labels, Series, stale_nan};
use varve_promql::engine::{Cancel, Query};
use varve_promql::value::{QueryValue, Value};

use crate::store::{Budget, Memory, answer, ask, engine};

pub(crate) const QUERIES: &[&str] = &[
    "m",
    "m offset 90s",
    "m @ 600",
    "rate(m[5m])",
    "increase(m[3m] offset 1m)",
    "delta(m[4m:30s])",
    "irate(m[5m])",
    "resets(m[10m])",
    "changes(m[10m] @ end())",
    "deriv(m[6m])",
    "predict_linear(m[6m], 60)",
    "sum_over_time(m[5m])",
    "avg_over_time(m[5m])",
    "stddev_over_time(m[5m])",
    "quantile_over_time(0.3, m[5m])",
    "max_over_time(m[5m:1m])",
    "last_over_time(m[7m])",
    "ts_of_max_over_time(m[7m])",
    "rate(m[5m] anchored)",
    "increase(m[5m] smoothed)",
    "absent(m{a=\"0\"})",
    "absent_over_time(m{a=\"0\"}[2m])",
    "sum(m)",
    "avg by (a) (m)",
    "max without (b) (m)",
    "stddev(m)",
    "count_values(\"v\", m)",
    "topk(2, m)",
    "bottomk by (a) (1, m)",
    "quantile(0.7, m)",
    "limitk(1, m)",
    "limit_ratio(0.5, m)",
    "m + on (a, b) m offset 1m",
    "m * on (a) group_left sum by (a) (m)",
    "m > bool 3",
    "3 < m",
    "m and m offset 2m > 1",
    "m or m offset 5m",
    "m unless on (a) m{b=\"1\"}",
    "sum by (a) (m) + fill(0) sum by (a) (m offset 3m)",
    "-m",
    "label_replace(m, \"c\", \"$1\", \"a\", \"(.)\")",
    "timestamp(m)",
    "scalar(m{a=\"1\", b=\"1\"}) + time()",
    "clamp(m, -1, 2) + vector(1)",
    "hour(m) + minute()",
    "sum(rate(m[5m])) / sum(m)",
];

/// Samples about every half minute: numbers, NaN, infinities, stale markers, gaps.
fn samples() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        6 => (-4i32..40).prop_map(|v| Some(f64::from(v) / 2.0)),
        3 => Just(None),
        1 => Just(Some(stale_nan())),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY)].prop_map(Some),
    ];
    proptest::collection::vec(value, 0..40)
}

fn data() -> impl Strategy<Value = Vec<Series>> {
    proptest::collection::vec((samples(), -5000i64..5000), 6).prop_map(|all| {
        let one = |(i, (values, shift)): (usize, (Vec<Option<f64>>, i64))| {
            let (a, b) = ((i / 3).to_string(), (i % 3).to_string());
            let labels = Labels::from_pairs([("__name__", "m"), ("a", &a), ("b", &b)]);
            let labels = labels.expect("valid labels");
            let mut s = Series { labels, ..Series::default() };
            for (i, v) in values.into_iter().enumerate() {
                if let Some(v) = v {
                    s.floats.push(i as i64 * 30_000 + shift, v, 0);
                }
            }
            s
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// Labels and bits at a time, sorted.
type Answer = Result<Vec<(String, u64)>, String>;

fn at(value: &QueryValue, time: i64) -> Vec<(String, u64)> {
    let bits = |v: f64| if v.is_nan() { 1 } else { v.to_bits() };
    let mut all: Vec<(String, u64)> = match value {
        QueryValue::Vector(samples) => samples
            .iter()
            .map(|s| match &s.value {
                Value::Float(v) => (s.labels.to_string(), bits(*v)),
                Value::Histogram(_) => (s.labels.to_string(), 0),
            })
            .collect(),
        QueryValue::Matrix(series) => series
            .iter()
            .filter_map(|s| {
                let i = s.floats.times.binary_search(&time).ok()?;
                Some((s.labels.to_string(), bits(s.floats.values[i])))
            })
            .collect(),
        QueryValue::Scalar { value, .. } => vec![("{}".to_owned(), bits(*value))],
        QueryValue::String { .. } => vec![],
    };
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_range_query_is_its_instant_queries(data in data(), delayed in any::<bool>()) {
        let engine = engine(delayed);
        let (start, step, steps) = (30_000i64, 47_000i64, 25);
        let end = start + step * (steps - 1);
        for text in QUERIES.iter().filter(|q| !q.contains("end()")) {
            let query = Query::range(*text, start, end, step);
            let whole = answer(&engine, data.clone(), &query).map(|o| o.value);
            for i in 0..steps {
                let time = start + i * step;
                let once = answer(&engine, data.clone(), &Query::instant(*text, time));
                match (&whole, once) {
                    (Ok(whole), Ok(once)) => {
                        prop_assert_eq!(at(whole, time), at(&once.value, time), "{} at {}", text, time);
                    }
                    // A range query fails when any of its steps does.
                    (Err(_), _) => {}
                    (Ok(_), Err(e)) => prop_assert!(false, "{} at {}: {}", text, time, e),
                }
            }
        }
    }

    #[test]
    fn batches_and_order_change_nothing(data in data(), batch in 1usize..7, seed in 0usize..720) {
        let engine = engine(true);
        let mut shuffled = data.clone();
        let mut seed = seed;
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, seed % (i + 1));
            seed /= i + 1;
        }
        // Sums depend on the order of what is added, ties on that of series.
        let exact = |q: &&&str| {
            !["sum(", "avg", "sum ", "stddev(", "topk", "bottomk", "limitk"].iter().any(|s| q.contains(s))
        };
        for text in QUERIES.iter().filter(exact) {
            let query = Query::range(*text, 0, 1_200_000, 60_000);
            let once: Answer = answer(&engine, data.clone(), &query)
                .map(|o| (0..=20).flat_map(|i| at(&o.value, i * 60_000)).collect())
                .map_err(|e| e.message);
            let memory = Memory {
                series: shuffled.clone(),
                batch,
                budget: Budget::new(usize::MAX),
                error: None,
            };
            let again: Answer = ask(&engine, memory, &query, Cancel::default())
                .map(|o| (0..=20).flat_map(|i| at(&o.value, i * 60_000)).collect())
                .map_err(|e| e.message);
            prop_assert_eq!(once, again, "{}", text);
        }
    }
}
