//! Limits, cancellation, and errors of others.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use varve_model::{ErrorKind, Matcher, TimeRange};
use varve_promql::engine::{Cancel, Engine, EngineOptions, Query};
use varve_promql::source::{Estimate, SelectRequest, SeriesBatch, SeriesSource, SourceError};

use crate::store::{Budget, Memory, answer, ask, engine, series};

fn memory(limit: usize) -> Memory {
    let series = series(&["a{x=\"1\"} 0+1x60", "a{x=\"2\"} 0+2x60", "a{x=\"3\"} 5x60"]);
    Memory { series, batch: 1, budget: Budget::new(limit), error: None }
}

#[test]
fn a_query_that_needs_too_much_memory_fails_alone() {
    let query = Query::range("a + on (x) a", 0, 3_600_000, 1000);
    let error = ask(&engine(false), memory(20_000), &query, Cancel::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Execution);
    assert!(error.message.contains("memory limit of 20000 bytes"), "{error}");
    assert!(ask(&engine(false), memory(10_000_000), &query, Cancel::default()).is_ok());
}

#[test]
fn a_grid_of_any_size_is_charged_before_it_is_made() {
    let check = |text: &str| {
        let query = Query::instant(text, 4_000_000_000_000);
        let error = ask(&engine(false), memory(1 << 30), &query, Cancel::default()).unwrap_err();
        assert!(error.message.contains("memory limit"), "{text}: {error}");
    };
    check("count_over_time(vector(1)[100y:1ms])");
    check("sum_over_time(time()[100y:1ms])".replace("time()", "vector(time())").as_str());
    check("max_over_time(hour()[100y:1ms])");
    check("max_over_time(absent(nothing)[100y:1ms])");
    check("max_over_time(absent_over_time(nothing[1m])[100y:1ms])");
    check("max_over_time((a @ 0)[100y:1ms])");
    check("count_over_time(rate(a[2h] @ 3600)[100y:1ms])");
    check("count_over_time(a[100y:1ms])");
}

#[test]
fn the_most_samples_are_limited() {
    let options = EngineOptions { max_samples: 100, ..EngineOptions::default() };
    let query = Query::range("a", 0, 3_600_000, 60_000);
    let limited = Engine::new(options);
    let error = ask(&limited, memory(usize::MAX), &query, Cancel::default()).unwrap_err();
    let message = "query processing would load too many samples into memory in query execution";
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Execution, message));
}

#[test]
fn a_query_ends_when_it_is_told_to() {
    let query = Query::instant("sum(a)", 60_000);
    let end = |f: fn(&Cancel)| {
        let cancel = Cancel::default();
        f(&cancel);
        ask(&engine(false), memory(usize::MAX), &query, cancel).unwrap_err()
    };
    assert_eq!(end(Cancel::cancel).kind, ErrorKind::Canceled);
    let timeout = end(Cancel::expire);
    assert_eq!(timeout.kind, ErrorKind::Timeout);
    assert!(timeout.message.starts_with("query timed out"), "{timeout}");
}

/// A source that never answers.
struct Silent;

impl SeriesSource for Silent {
    fn select(&self, _: SelectRequest) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        futures::stream::pending().boxed()
    }

    fn estimate(
        &self,
        _: Vec<Matcher>,
        _: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>> {
        std::future::pending().boxed()
    }
}

#[test]
fn a_query_that_waits_for_its_series_ends_when_it_is_told_to() {
    for text in ["a", "sum(rate(a[1m]))", "a or b", "topk(1, a)", "scalar(a)", "a[1m]"] {
        let cancel = Cancel::default();
        let from_outside = cancel.clone();
        let later = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            from_outside.expire();
        });
        let query = Query::instant(text, 60_000);
        let (engine, budget) = (engine(false), Budget::new(1 << 20));
        let answer = block_on(engine.run(&query, Arc::new(Silent), budget, cancel));
        assert_eq!(answer.unwrap_err().kind, ErrorKind::Timeout, "{text}");
        later.join().expect("ends it");
    }
}

#[test]
fn an_error_of_the_source_is_passed_on() {
    let kinds = [ErrorKind::Unavailable, ErrorKind::TooLarge, ErrorKind::Corrupt];
    for kind in kinds {
        for text in ["a", "rate(a[5m])", "sum(a)", "a or b", "absent(a)", "info(a)", "a[5m]"] {
            let error = Some(SourceError { kind, message: "no".to_owned() });
            let source = Memory { error, ..memory(usize::MAX) };
            let query = Query::instant(text, 60_000);
            let error = ask(&engine(false), source, &query, Cancel::default()).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (kind, "no"), "{text}");
        }
    }
}

#[test]
fn a_query_that_cannot_be_asked_is_invalid() {
    let check = |query: Query, message: &str| {
        let error = answer(&engine(false), vec![], &query).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, message));
    };
    let range = |text: &str| Query::range(text, 0, 60_000, 60_000);
    check(
        range("a[5m]"),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
    );
    check(
        range("\"a\""),
        "invalid expression type \"string\" for range query, must be Scalar or instant Vector",
    );
    check(Query::instant("a[step()]", 0), "2:8: duration must be greater than 0");
    let error = answer(&engine(false), vec![], &range("a +")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn no_query_exhausts_the_stack() {
    let chain = |operand: &str, operator: &str| vec![operand; 1000].join(operator);
    let nest =
        |open: &str, close: &str, n: usize| format!("{}a{}", open.repeat(n), close.repeat(n));
    let ask = |text: &str| {
        for query in [Query::instant(text, 600_000), Query::range(text, 0, 600_000, 60_000)] {
            ask(&engine(true), memory(usize::MAX), &query, Cancel::default())?;
        }
        Ok::<_, varve_promql::engine::EngineError>(())
    };
    let chains = [
        chain("1", " + "),
        chain("time()", " + "),
        chain("sum(a)", " + "),
        chain("a", " or "),
        format!("a{}", " + 1".repeat(1000)),
        format!("a{}", " + 1 + on () group_left sum(a)".repeat(400)),
    ];
    for text in chains {
        assert_eq!(ask(&text), Ok(()), "{} …", &text[..20]);
    }
    let nested = [
        ("abs(", ")"),
        ("sum(", ")"),
        ("topk(1, ", ")"),
        ("quantile(0.5, ", ")"),
        ("count_values(\"v\", ", ")"),
        ("max_over_time(", "[1m:1m])"),
        ("absent_over_time(", "[1m:1m])"),
        ("-(", ")"),
        ("(a or ", ")"),
        ("(1 + ", ")"),
        ("vector(scalar(", "))"),
        ("label_replace(", ", \"b\", \"$1\", \"x\", \"(.*)\")"),
        ("histogram_quantile(0.5, ", ")"),
        ("clamp(", ", 0, 1)"),
        ("info(", ")"),
        ("sort(", ")"),
        ("absent(", ")"),
        ("hour(", ")"),
    ];
    for (open, close) in nested {
        assert_eq!(ask(&nest(open, close, 25)), Ok(()), "{open}");
        for deep in [31, 62, 100, 120] {
            // Refused or answered, but the process lives.
            if let Err(e) = ask(&nest(open, close, deep)) {
                assert_eq!(e.kind, ErrorKind::Invalid, "{open}: {e}");
            }
        }
    }
}
