//! Native histograms as expressions see them: stored ones without empty
//! buckets and without a word on resets, computed ones with what was left.

use varve_promql::engine::Query;
use varve_promql::value::QueryValue;

use crate::store::{answer, engine, series};

const MINUTE: i64 = 60_000;

/// Three samples a minute apart that differ in empty buckets alone, in another
/// series one with a reset behind it.
const DATA: [&str; 5] = [
    "h {{schema:0 count:4 sum:4 z_bucket:2 z_bucket_w:0.5 buckets:[2]}} {{schema:0 count:4 sum:4 z_bucket:2 z_bucket_w:0.5 offset:-1 buckets:[0 2 0] n_buckets:[0]}}x2",
    "other {{schema:0 count:4 sum:4 z_bucket:2 z_bucket_w:0.5 offset:1 buckets:[2]}}x2",
    "told{x=\"1\"} {{schema:0 count:4 sum:4 buckets:[4]}} {{schema:0 count:5 sum:5 buckets:[5] counter_reset_hint:reset}}",
    "told{x=\"2\"} {{schema:0 count:4 sum:4 buckets:[4]}} {{schema:0 count:5 sum:5 buckets:[5] counter_reset_hint:not_reset}}",
    "gauge {{schema:0 count:4 sum:4 buckets:[4] counter_reset_hint:gauge}} {{schema:0 count:5 sum:5 buckets:[5]}} {{schema:-53 count:4 sum:4 custom_values:[1] buckets:[4]}} {{schema:0 count:5 sum:5 buckets:[5]}}",
];

/// How many series a query gives, and what is said.
fn ask(text: &str, time: i64) -> (usize, Vec<String>) {
    let query = Query::instant(text, time);
    let output = answer(&engine(true), series(&DATA), &query);
    let output = output.unwrap_or_else(|e| panic!("{text}: {}", e.message));
    let QueryValue::Vector(samples) = output.value else { panic!("{text}: no vector") };
    (samples.len(), output.warnings.into_iter().chain(output.infos).collect())
}

#[test]
fn only_empty_buckets_of_expressions_count() {
    for (text, series) in [
        ("h == h offset 1m", 1),
        ("h != h offset 1m", 0),
        ("changes(h[3m]) == 0", 1),
        ("changes(h[3m:1m] ) == 0", 1),
        // The side without observations is as if it were not there.
        ("histogram_quantile(0.25, h) == 0.25", 1),
        // Multiplied by zero, buckets are empty and there; `*` removes them.
        ("-(h - h) == -(h - h)", 1),
        ("h * 0 == on () other * 0", 1),
        ("sum_over_time(h[2m:1m]) == sum_over_time(h[2m:1m] offset 1m)", 1),
    ] {
        assert_eq!(ask(text, 2 * MINUTE), (series, vec![]), "{text}");
    }
}

#[test]
fn storage_tells_smoothed_selectors_nothing_of_resets() {
    assert_eq!(ask("sum(told smoothed)", MINUTE / 2), (1, vec![]));
    assert_eq!(ask("sum(told smoothed)", MINUTE), (1, vec![]));
}

#[test]
fn when_buckets_do_not_go_together_nothing_else_is_said() {
    let (series, said) = ask("rate(gauge[4m])", 3 * MINUTE);
    let mixed = "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"gauge\" (1:6)";
    assert_eq!((series, said), (0, vec![mixed.to_owned()]));
}

#[test]
fn of_two_places_that_say_the_same_the_one_evaluated_last_is_named() {
    let got = |q: &str, at: &str| {
        vec![format!("PromQL warning: quantile value should be between 0 and 1, got {q} ({at})")]
    };
    for (text, want) in [
        ("quantile(2, quantile(2, h))", got("2", "1:10")),
        ("quantile(2, h) or quantile(2, h)", got("2", "1:28")),
        ("(quantile(2, h) or h) or h", got("2", "1:11")),
        ("histogram_quantile(2, histogram_quantile(2, h) or h)", got("2", "1:20")),
    ] {
        let said: Vec<String> = ask(text, MINUTE).1;
        let said: Vec<String> = said.into_iter().filter(|s| s.contains("quantile value")).collect();
        assert_eq!(said, want, "{text}");
    }
}
