//! Answers of Prometheus 3.15 to queries that its own scripts do not ask.

use varve_promql::engine::Query;
use varve_promql::value::{QueryValue, Value};

use crate::store::{answer, engine, series};

/// The one value, as text, or the error.
fn ask(text: &str) -> Result<String, String> {
    let data = series(&["a {{schema:1 count:6 sum:5 buckets:[2 4]}}x10"]);
    let query = Query::instant(text, 300_000);
    let output = answer(&engine(false), data, &query).map_err(|e| e.message)?;
    match output.value {
        QueryValue::Scalar { value, .. } => Ok(value.to_string()),
        QueryValue::Vector(samples) => match samples.as_slice() {
            [one] => match &one.value {
                Value::Float(v) => Ok(format!("{} {v}", one.labels)),
                Value::Histogram(_) => Err("a histogram".to_owned()),
            },
            _ => Err(format!("{} samples", samples.len())),
        },
        _ => Err("neither scalar nor vector".to_owned()),
    }
}

#[test]
fn answers_are_prometheus() {
    let trimmed = "operator \">/\" not allowed for Scalar operations";
    for (text, want) in [
        ("1 >/ 2", Err(trimmed)),
        ("time() + 1 >/ time()", Err(trimmed)),
        ("year(vector(NaN))", Ok("{} 292277026596")),
        ("day_of_week(vector(1e21))", Ok("{} 0")),
        ("day_of_week(vector(123456789012345678))", Ok("{} 3")),
        (
            "count_values(\"v\", a)",
            Ok("{v=\"{count:6, sum:5, (0.7071067811865475,1]:2, (1,1.414213562373095]:4}\"} 1"),
        ),
    ] {
        assert_eq!(ask(text), want.map(str::to_owned).map_err(str::to_owned), "{text}");
    }
}

/// Warnings and infos of a range query, or its error.
fn notes(
    data: &[&str],
    text: &str,
    start: i64,
    end: i64,
    step: i64,
) -> Result<Vec<String>, String> {
    let query = Query::range(text, start, end, step);
    let output = answer(&engine(false), series(data), &query).map_err(|e| e.message)?;
    Ok(output.warnings.into_iter().chain(output.infos).collect())
}

#[test]
fn annotations_are_prometheus() {
    let floats = ["b{x=\"1\"} 1 2 3 4 5", "b{x=\"2\"} 1 2 3 4 5", "b{x=\"3\"} 1 2 3 4 5"];
    let sort = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)";
    // A range of which one step is left is a range; what does not depend on
    // the step is evaluated at one time.
    for (text, want) in [("sort(b)", vec![sort]), ("sort(b @ 60)", vec![])] {
        let got = notes(&floats, text, 60_000, 70_000, 15_000).expect("an answer");
        assert_eq!(got, want, "{text}");
    }
    let buckets = ["l_bucket{le=\"1\"} 5x9", "l_bucket{le=\"2\"} 3x9", "l_bucket{le=\"+Inf\"} 3x9"];
    let quantile = "histogram_quantile(0.5, l_bucket)";
    for (end, count) in [(60_000, 1), (120_000, 4), (240_000, 22)] {
        let got = notes(&buckets, quantile, 60_000, end, 60_000).expect("an answer");
        assert!(got[0].contains(&format!("over {count} samples from ")), "{end}: {got:?}");
    }
    // What an operator has refused is not ignored once more.
    let mixed = ["m 1 {{schema:0 count:1 sum:1 buckets:[1]}} 2"];
    for text in ["stdvar(1 + m)", "max(1 + m)", "quantile(0.5, 1 + m)"] {
        let got = notes(&mixed, text, 0, 120_000, 60_000).expect("an answer");
        assert!(got.len() == 1 && got[0].contains("incompatible sample types"), "{text}: {got:?}");
    }
    let failed = notes(&floats, "b + on () b", 0, 60_000, 60_000).expect_err("many to many");
    let pair = "[{__name__=\"b\", x=\"1\"}, {__name__=\"b\", x=\"2\"}]";
    assert!(failed.contains(pair), "{failed}");
    let unused = notes(
        &floats,
        "start_timestamp(double_exponential_smoothing(b[2m], 0, 0.5))",
        0,
        60_000,
        60_000,
    );
    let want = "invalid smoothing factor. Expected: 0 < sf < 1, got: 0.000000";
    assert_eq!(unused, Err(want.to_owned()));
    for (text, want) in [
        // As in Prometheus a literal begins with the parenthesis before it.
        ("max_over_time(b[(-250):1m])", "16:21: duration must be greater than 0"),
        (
            "double_exponential_smoothing(b[2m], 0.5, -Inf)",
            "invalid trend factor. Expected: 0 < tf < 1, got: -Inf",
        ),
    ] {
        let got = notes(&floats, text, 0, 60_000, 60_000);
        assert_eq!(got, Err(want.to_owned()), "{text}");
    }
}

/// The samples of an instant query in order.
fn samples(data: &[&str], text: &str) -> Result<Vec<String>, String> {
    let query = Query::instant(text, 0);
    let output = answer(&engine(false), series(data), &query).map_err(|e| e.message)?;
    let QueryValue::Vector(samples) = output.value else { return Err("no vector".to_owned()) };
    let shown = |value: &Value| match value {
        Value::Float(v) => v.to_string(),
        Value::Histogram(h) => format!("histogram of {}", h.count()),
    };
    Ok(samples.iter().map(|s| format!("{} {}", s.labels, shown(&s.value))).collect())
}

#[test]
fn a_float_and_a_histogram_may_be_one_series() {
    let data =
        ["m{x=\"1\"} 1", "m{x=\"2\"} {{schema:0 count:2 sum:1 buckets:[2]}}", "n{x=\"1\"} 2"];
    let one = "label_replace(m, \"x\", \"\", \"x\", \".*\")";
    for (text, want) in [
        (one.to_owned(), Ok(vec!["{__name__=\"m\"} histogram of 2".to_owned()])),
        (format!("({one}) + 1"), Ok(vec!["{} 2".to_owned()])),
        (format!("count({one})"), Ok(vec!["{} 1".to_owned()])),
        (
            one.replace("(m,", "({__name__=~\"m|n\"},").replacen(
                "\"x\", \"\"",
                "\"__name__\", \"a\"",
                1,
            ),
            Err("vector cannot contain metrics with the same labelset".to_owned()),
        ),
    ] {
        assert_eq!(samples(&data, &text), want, "{text}");
    }
}

#[test]
fn where_a_label_is_missing_its_order_is_that_of_insertion() {
    let data = [
        "s{b=\"1\", l=\"z\"} 1",
        "s{b=\"10\"} 2",
        "s{b=\"2\", l=\"y\"} 3",
        "s{b=\"3\", l=\"x\"} 4",
    ];
    for (text, want) in
        [("sort_by_label(s, \"l\")", [1, 2, 4, 3]), ("sort_by_label_desc(s, \"l\")", [2, 1, 3, 4])]
    {
        let got = samples(&data, text).expect("an answer");
        let got: Vec<&str> = got.iter().filter_map(|s| s.rsplit(' ').next()).collect();
        assert_eq!(got, want.map(|v| v.to_string()), "{text}");
    }
}

#[test]
fn absent_has_the_labels_that_storage_leaves_in_front() {
    for (selector, want) in [
        ("x{a!=\"0\",a=\"0\",b=\"1\"}", "{b=\"1\"} 1"),
        ("x{a=\"0\",a!=\"1\"}", "{} 1"),
        ("x{a=~\".+\",a=\"0\"}", "{a=\"0\"} 1"),
        ("x{a=\"\",b=\"1\"}", "{b=\"1\"} 1"),
    ] {
        let text = format!("absent({selector})");
        assert_eq!(samples(&["y 1"], &text), Ok(vec![want.to_owned()]), "{text}");
    }
}

#[test]
fn series_of_a_matrix_become_one_where_their_samples_do_not_meet() {
    let data = [
        "m{x=\"1\"} 1 2",
        "n{x=\"1\"} _ _ 3 4 5",
        "h{x=\"1\"} {{schema:0 count:2 sum:1 buckets:[2]}}",
    ];
    let ask = |text: &str| {
        let query = Query::instant(text, 120_000);
        let output = answer(&engine(true), series(&data), &query).map_err(|e| e.message)?;
        let QueryValue::Matrix(all) = output.value else { return Err("no matrix".to_owned()) };
        let counts = all.iter().map(|s| (s.floats.times.clone(), s.histograms.len()));
        Ok(counts.collect::<Vec<_>>())
    };
    let met = Err("vector cannot contain metrics with the same labelset".to_owned());
    assert_eq!(ask("(-{__name__=~\"m|n\"})[3m:1m]"), met);
    let times = vec![0, 60_000, 120_000];
    assert_eq!(ask("(-{__name__=~\"m|h\"})[3m:1m]"), Ok(vec![(times, 3)]));
    let apart = "(-({__name__=\"m\"} < 2 or {__name__=\"n\"}))[3m:1m]";
    assert_eq!(ask(apart), Ok(vec![(vec![0, 120_000], 0)]));
}
