//! When two answers are equal: same series, timestamps and values, values
//! within 1e-12 relative (docs/decisions/0006-equal-answers.md says why not
//! bit for bit). Order matters only where PromQL says so.

use serde_json::Value;

use crate::http;

/// The largest relative difference between equal values.
const RELATIVE: f64 = 1e-12;

/// Asks both the same; `Err` says where the answers, their warnings included,
/// differ.
pub fn ask_both(
    ours: &str,
    judge: &str,
    path: &str,
    params: &[(&str, &str)],
) -> Result<Value, String> {
    let (a, b) =
        (http::get(&format!("{ours}{path}"), params), http::get(&format!("{judge}{path}"), params));
    if b.status != 200 {
        return Err(format!("the judge says {}: {}", b.status, b.body));
    }
    if a.status != 200 {
        return Err(format!("varve says {}: {}", a.status, a.body));
    }
    let (a, b) = (a.json(), b.json());
    same(&a["data"], &b["data"])?;
    for kind in ["warnings", "infos"] {
        same_annotations(&a[kind], &b[kind]).map_err(|e| format!("{kind}: {e}"))?;
    }
    Ok(b["data"].clone())
}

/// Whether two `data` of the query API are equal; `Err` says where not.
pub fn same(ours: &Value, judge: &Value) -> Result<(), String> {
    if ours["resultType"] != judge["resultType"] {
        return Err(format!("resultType {} against {}", ours["resultType"], judge["resultType"]));
    }
    let (a, b) = (&ours["result"], &judge["result"]);
    match judge["resultType"].as_str() {
        Some("scalar" | "string") => same_point(a, b).map_err(|e| format!("result: {e}")),
        _ => same_series(a, b),
    }
}

/// Annotations have no order. How many series were fixed for monotonicity is
/// not compared: Prometheus' count doubles at each step (docs/gaps).
fn same_annotations(a: &Value, b: &Value) -> Result<(), String> {
    let uncounted = |text: &str| match (text.split_once(", over "), text.split_once(" samples ")) {
        (Some((head, _)), Some((_, tail))) => format!("{head}, over … samples {tail}"),
        _ => text.to_owned(),
    };
    let sorted = |v: &Value| {
        let list = v.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut list: Vec<String> = list.map(uncounted).collect();
        list.sort_unstable();
        list.join("; ")
    };
    let (a, b) = (sorted(a), sorted(b));
    if a == b { Ok(()) } else { Err(format!("{a:?} against {b:?}")) }
}

/// Number of samples in `data` of the query API.
pub fn samples(data: &Value) -> usize {
    let Some(result) = data["result"].as_array() else { return 0 };
    if data["resultType"] == "scalar" || data["resultType"] == "string" {
        return 1;
    }
    let points = |s: &Value, many: &str, one: &str| {
        s[many].as_array().map_or(0, Vec::len) + usize::from(!s[one].is_null())
    };
    result.iter().map(|s| points(s, "values", "value") + points(s, "histograms", "histogram")).sum()
}

fn same_series(a: &Value, b: &Value) -> Result<(), String> {
    let sorted = |v: &Value| {
        let mut list = v.as_array().cloned().unwrap_or_default();
        // serde_json's maps are sorted, so equal label sets print alike.
        list.sort_by_key(|s| s["metric"].to_string());
        list
    };
    let (a, b) = (sorted(a), sorted(b));
    let names = |l: &[Value]| l.iter().map(|s| s["metric"].to_string()).collect::<Vec<_>>();
    let (mine, theirs) = (names(&a), names(&b));
    if mine != theirs {
        let only = |x: &[String], y: &[String]| {
            x.iter().filter(|s| !y.contains(s)).take(3).cloned().collect::<Vec<_>>()
        };
        return Err(format!(
            "{} series against {}; only varve has {:?}, only the judge has {:?}",
            mine.len(),
            theirs.len(),
            only(&mine, &theirs),
            only(&theirs, &mine)
        ));
    }
    for (x, y) in a.iter().zip(&b) {
        let at = |e: String| format!("{}: {e}", x["metric"]);
        for key in ["value", "histogram"] {
            same_point(&x[key], &y[key]).map_err(at)?;
        }
        for key in ["values", "histograms"] {
            let empty = Vec::new();
            let (p, q) = (x[key].as_array().unwrap_or(&empty), y[key].as_array().unwrap_or(&empty));
            if p.len() != q.len() {
                return Err(at(format!("{} {key} against {}", p.len(), q.len())));
            }
            for (p, q) in p.iter().zip(q) {
                same_point(p, q).map_err(at)?;
            }
        }
    }
    Ok(())
}

/// `[time, value]`, where the value is a number in a string or a histogram.
fn same_point(a: &Value, b: &Value) -> Result<(), String> {
    if a[0] != b[0] {
        return Err(format!("time {} against {}", a[0], b[0]));
    }
    same_value(&a[1], &b[1]).map_err(|e| format!("at {}: {e}", a[0]))
}

fn same_value(a: &Value, b: &Value) -> Result<(), String> {
    let equal = match (a, b) {
        (Value::String(x), Value::String(y)) => x == y || close(x, y),
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_value(x, y).is_ok())
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same_value(v, w).is_ok()))
        }
        _ => a == b,
    };
    if equal { Ok(()) } else { Err(format!("{a} against {b}")) }
}

/// Whether two numbers in text are within 1e-12 relative.
pub(crate) fn close(x: &str, y: &str) -> bool {
    match (x.parse::<f64>(), y.parse::<f64>()) {
        (Ok(x), Ok(y)) => (x - y).abs() <= RELATIVE * x.abs().max(y.abs()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_found() {
        let series = |labels: Value, value: Value| json!({"metric": labels, "value": value});
        let data = |list: Value| json!({"resultType": "vector", "result": list});
        let base = data(json!([
            series(json!({"a": "1"}), json!([1.5, "2"])),
            series(json!({"a": "2"}), json!([1.5, "NaN"])),
        ]));
        let mut other = base.clone();
        other["result"].as_array_mut().expect("a list").reverse();
        other["result"][1]["value"][1] = json!("2.0000000000000004");
        assert_eq!(same(&base, &other), Ok(()));
        assert_eq!(samples(&base), 2);
        for (pointer, value) in [
            ("/result/0/value/1", json!("2.00000001")),
            ("/result/0/value/0", json!(1.6)),
            ("/result/1/value/1", json!("0")),
            ("/result/0/metric/a", json!("3")),
            ("/resultType", json!("matrix")),
        ] {
            let mut broken = base.clone();
            *broken.pointer_mut(pointer).expect("is there") = value;
            assert!(same(&base, &broken).is_err(), "{pointer}");
        }
    }
}
