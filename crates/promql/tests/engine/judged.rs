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
