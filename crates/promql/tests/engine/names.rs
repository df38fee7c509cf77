//! Metric names that are dropped at once (as Prometheus does unless told
//! otherwise) or at the end of a query.

use varve_promql::engine::Query;
use varve_promql::value::{QueryValue, Value};

use crate::store::{answer, engine, series};

const SAME: &str = "vector cannot contain metrics with the same labelset";

/// The labels and values of an instant query, or its error.
fn ask(delayed: bool, text: &str) -> Result<Vec<(String, f64)>, String> {
    let data = series(&["a 1+1x10", "b 2+2x10", "c{x=\"1\"} 3x10", "late _x5 7x10"]);
    let query = Query::instant(text, 300_000);
    let output = answer(&engine(delayed), data, &query).map_err(|e| e.message)?;
    let QueryValue::Vector(samples) = output.value else { return Err("no vector".to_owned()) };
    let pair = |s: varve_promql::value::InstantSample| match s.value {
        Value::Float(v) => (s.labels.to_string(), v),
        Value::Histogram(_) => (s.labels.to_string(), f64::NAN),
    };
    Ok(samples.into_iter().map(pair).collect())
}

#[test]
fn names_dropped_at_once_make_equal_series() {
    for text in
        ["abs({__name__=~\"a|b\"})", "rate({__name__=~\"a|b\"}[5m])", "-{__name__=~\"a|b\"}"]
    {
        assert_eq!(ask(false, text), Err(SAME.to_owned()), "{text}");
        assert_eq!(ask(true, text), Err(SAME.to_owned()), "{text}");
        let sum = format!("count({text})");
        assert_eq!(ask(false, &sum), Err(SAME.to_owned()), "{sum}");
        assert_eq!(ask(true, &sum), Ok(vec![("{}".to_owned(), 2.0)]), "{sum}");
    }
}

#[test]
fn names_dropped_at_the_end_can_still_be_grouped_by() {
    let by = "sum by (__name__) (abs({__name__=~\"a|b\"}))";
    assert_eq!(ask(true, by), Err(SAME.to_owned()));
    let kept = "label_replace(abs({__name__=~\"a|b\"}), \"n\", \"$1\", \"__name__\", \"(.+)\")";
    let mut got = ask(true, kept).expect("an answer");
    got.sort_by(|a, b| a.0.cmp(&b.0));
    let pair = |l: &str, v| (l.to_owned(), v);
    assert_eq!(got, [pair("{n=\"a\"}", 6.0), pair("{n=\"b\"}", 12.0)]);
}

#[test]
fn series_that_follow_each_other_become_one() {
    let data = series(&["a 1 2 3 stale", "b _ _ _ _ 5 6"]);
    let query = Query::range("abs({__name__=~\"a|b\"})", 0, 300_000, 60_000);
    for delayed in [false, true] {
        let output = answer(&engine(delayed), data.clone(), &query).expect("an answer");
        let QueryValue::Matrix(all) = output.value else { panic!("no matrix") };
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].floats.values, [1.0, 2.0, 3.0, 5.0, 6.0]);
    }
    let query = Query::range("rate({__name__=~\"a|b\"}[2m])", 0, 300_000, 60_000);
    let error = answer(&engine(false), data, &query).unwrap_err();
    assert_eq!(error.message, SAME);
}
