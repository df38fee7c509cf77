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
        // As in Prometheus the position is that of what stands in parentheses.
        ("max_over_time(b[(-250):1m])", "17:21: duration must be greater than 0"),
        (
            "double_exponential_smoothing(b[2m], 0.5, -Inf)",
            "invalid trend factor. Expected: 0 < tf < 1, got: -Inf",
        ),
    ] {
        let got = notes(&floats, text, 0, 60_000, 60_000);
        assert_eq!(got, Err(want.to_owned()), "{text}");
    }
}
