//! Parts of a query that say the same are evaluated once, and nobody can tell
//! but by what was read.

use varve_promql::engine::Query;
use varve_promql::value::QueryOutput;

use crate::store::{answer, engine, series};

/// Series that have something to say: counters without a counter's name, floats
/// and histograms of one name, a bucket bound that is none.
fn data() -> Vec<varve_model::Series> {
    series(&[
        "m{a=\"1\"} 1+1x40",
        "m{a=\"2\"} 5 4 3 _ 2 1 9+1x30",
        "h{a=\"1\"} {{schema:0 sum:1 count:4 buckets:[1 2 1]}}+{{schema:0 sum:1 count:4 buckets:[1 2 1]}}x40",
        "h{a=\"1\", b=\"2\"} 3x40",
        "c_bucket{le=\"1\"} 9+1x40",
        "c_bucket{le=\"2\"} 1+1x40",
        "c_bucket{le=\"none\"} 1+1x40",
        "c_bucket{le=\"+Inf\"} 20+1x40",
    ])
}

fn run(text: &str, instant: bool) -> QueryOutput {
    let query = match instant {
        true => Query::instant(text, 1_200_000),
        false => Query::range(text, 600_000, 2_400_000, 90_000),
    };
    answer(&engine(false), data(), &query).unwrap_or_else(|e| panic!("{text}: {}", e.message))
}

/// The same query twice, the second time with parts that have other texts, as
/// long as the first ones: `read` and `apart` say how many series each reads.
fn check(text: &str, other: &str, (read, apart): (u64, u64)) {
    assert_eq!(text.len(), other.len(), "annotations tell positions");
    for instant in [true, false] {
        let (mut once, each) = (run(text, instant), run(other, instant));
        assert_eq!((once.stats.series_read, each.stats.series_read), (read, apart), "{text}");
        once.stats.series_read = apart;
        once.stats.peak_samples = each.stats.peak_samples;
        let notes = |o: &QueryOutput| [o.warnings.clone(), o.infos.clone()];
        let renamed = notes(&each).map(|all| all.join("\n").replace(other, text));
        assert_eq!(notes(&once).map(|all| all.join("\n")), renamed, "{text}");
        assert_eq!(once, each, "{text}");
    }
}

#[test]
fn parts_that_say_the_same_are_evaluated_once() {
    check("m{} / (m{} + m{})", "m{} /(m{ }+m{  })", (2, 6));
    check("rate(m[60s]) + rate(m[60s])", "rate(m[60s]) + rate(m[1m] )", (2, 4));
    check(
        "sum(rate(m[60s])) / sum(rate(m[60s])) + sum(rate(m[60s]) ^ 2)",
        "sum(rate(m[60s])) / sum(rate(m[1m] )) + sum(rate(m[ 1m]) ^ 2)",
        (2, 6),
    );
    check(
        "sum(rate(h[300s])) + sum(rate(h[300s]))",
        "sum(rate(h[300s])) + sum(rate(h[5m]  ))",
        (2, 4),
    );
    check(
        "histogram_quantile(0.9, c_bucket{}) + histogram_quantile(0.9, c_bucket{} )",
        "histogram_quantile(0.9, c_bucket{}) + histogram_quantile(0.9, c_bucket{ })",
        (4, 8),
    );
    check(
        "max_over_time(rate(m[60s])[9m:1m]) - max_over_time(rate(m[60s])[9m:1m])",
        "max_over_time(rate(m[60s])[9m:1m]) - max_over_time(rate(m[1m] )[9m:1m])",
        (2, 4),
    );
    check("m{} @ 600 + m{} @ 600", "m{} @ 600 + m{}@  600", (2, 4));
    check("absent(m{}) or m{} or absent( m{} )", "absent(m{}) or m{ }or absent(m{  })", (2, 6));
}

#[test]
fn parts_of_other_meaning_are_evaluated_each() {
    check("m{} smoothed - m{}", "m{} smoothed -m{ }", (4, 4));
    check(
        "rate(m{}[2m] anchored) - rate(m{}[2m] )",
        "rate(m{}[2m] anchored) - rate(m{ }[2m])",
        (4, 4),
    );
    check("sum(m{}) by (a) or sum(m{} )", "sum(m{}) by (a) or sum(m{ })", (2, 4));
    check("m{} @ 600 or m{} @ 900", "m{} @ 600 or m{ }@ 900", (4, 4));
    check("m{} + m{} offset 1m", "m{} +m{ } offset 1m", (4, 4));
    check("m{} + sum_over_time(m{}[9m:1m])", "m{} +sum_over_time(m{ }[9m:1m])", (4, 4));
    check(
        "histogram_count(h{}) + histogram_quantile(0.5, h{} )",
        "histogram_count(h{}) + histogram_quantile(0.5, h{ })",
        (4, 4),
    );
}

#[test]
fn what_takes_too_much_memory_is_not_kept() {
    // Two rows of 1.2 million steps.
    let ask = |text: &str| {
        let query = Query::range(text, 0, 2_400_000, 2);
        answer(&engine(false), data(), &query).unwrap_or_else(|e| panic!("{text}: {}", e.message))
    };
    let (once, each) = (ask("m{} + m{}"), ask("m{} +m{ }"));
    assert_eq!((once.stats.series_read, each.stats.series_read), (4, 4));
    assert!(once.value == each.value);
}
