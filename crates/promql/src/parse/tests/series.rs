//! Descriptions of series.

use super::super::{SequenceValue, parse_metric, parse_series_desc};

/// Values as text: `_` is none, histograms are count/sum/schema/spans.
fn shown(input: &str) -> Result<String, String> {
    let (labels, values) = parse_series_desc(input).map_err(|e| e.to_string())?;
    let values: Vec<String> = values
        .iter()
        .map(|v| match v {
            SequenceValue::Omitted => "_".to_owned(),
            SequenceValue::Float(v) if varve_model::is_stale(*v) => "stale".to_owned(),
            SequenceValue::Float(v) => v.to_string(),
            SequenceValue::Histogram { histogram: h, hint_set } => {
                let spans: Vec<String> =
                    h.positive_spans.iter().map(|s| format!("{}+{}", s.offset, s.length)).collect();
                let set = if *hint_set { "!" } else { "" };
                format!("{}/{}/{}/{}{set}", h.count(), h.sum, h.schema, spans.join(","))
            }
        })
        .collect();
    Ok(format!("{labels} {}", values.join(" ")))
}

#[test]
fn descriptions_are_read() {
    let cases = [
        ("up", "{__name__=\"up\"} "),
        ("up 1 2.5 -3 1e3", "{__name__=\"up\"} 1 2.5 -3 1000"),
        ("{a=\"b\"} 1+2x2 5-1x1", "{a=\"b\"} 1 3 5 5 4"),
        (
            "up{a=\"b\",} _ _x2 7x1 stale NaN -Inf",
            "{__name__=\"up\", a=\"b\"} _ _ _ 7 7 stale NaN -inf",
        ),
        ("{\"x.y\", 'a b'='c'} 1", "{__name__=\"x.y\", \"a b\"=\"c\"} 1"),
        ("sum 1x0", "{__name__=\"sum\"} 1"),
        ("h {{}}", "{__name__=\"h\"} 0/0/0/"),
        (
            "h {{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3}} 1",
            "{__name__=\"h\"} 3.1/-0.3/1/-3+3 1",
        ),
        (
            "h {{sum:1 count:1 buckets:[1]}}+{{sum:2 count:3 buckets:[1 2]}}x2",
            "{__name__=\"h\"} 1/1/0/0+1 4/3/0/0+2 7/5/0/0+2",
        ),
        ("h {{counter_reset_hint:gauge}}x1", "{__name__=\"h\"} 0/0/0/! 0/0/0/!"),
    ];
    for (input, want) in cases {
        assert_eq!(shown(input), Ok(want.to_owned()), "{input}");
    }
}

#[test]
fn bad_descriptions_are_refused() {
    let cases = [
        "",
        "1",
        "up{a} 1",
        "up{a=b} 1",
        "up 1x",
        "up 1+2",
        "up stalex2",
        "up 1,2",
        "up x3",
        "up {{schema:1",
        "up {{nosuch:1}}",
        "up {{sum:1 sum:1}}",
        "up {{buckets:[1}}",
        "up 1x99999999999",
        "up _x9999999",
        "up {{}}x9999999",
        "up {{schema:2}}+{{schema:1}}x2",
        "up 0x1f",
    ];
    for input in cases {
        assert!(shown(input).is_err(), "{input}");
    }
}

#[test]
fn metrics_are_read_alone() {
    let metric = parse_metric("up{a=\"b\"} ").map(|m| m.to_string());
    assert_eq!(metric.as_deref(), Ok("{__name__=\"up\", a=\"b\"}"));
    assert!(parse_metric("up 1").is_err());
}
