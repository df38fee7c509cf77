//! Plans that are shown: every part of a query once, no estimate below what
//! was measured, and the same answer whether it is measured or not.

use std::sync::Arc;

use futures::executor::block_on;
use varve_model::Series;
use varve_promql::engine::{Cancel, EngineError, Query};
use varve_promql::explain::PlanNode;
use varve_promql::source::SourceError;

use crate::agree::QUERIES;
use crate::store::{Budget, Memory, ask, engine, series};

fn data() -> Vec<Series> {
    let of = |a, b| format!("m{{a=\"{a}\", b=\"{b}\"}} {a}+{b}x40");
    let all: Vec<String> = (0..3).flat_map(|a| (0..2).map(move |b| of(a, b))).collect();
    series(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn memory(error: Option<SourceError>) -> Memory {
    Memory { series: data(), batch: 2, budget: Budget::new(usize::MAX), error }
}

fn explain(query: &Query) -> Result<PlanNode, EngineError> {
    block_on(engine(false).explain(query, Arc::new(memory(None))))
}

fn all<'a>(node: &'a PlanNode, out: &mut Vec<&'a PlanNode>) {
    out.push(node);
    node.parts.iter().for_each(|part| all(part, out));
}

#[test]
fn no_part_costs_more_than_was_estimated_at_most() {
    for text in QUERIES {
        for query in
            [Query::instant(*text, 900_000), Query::range(*text, 600_000, 1_800_000, 45_000)]
        {
            let mut plain = ask(&engine(false), memory(None), &query, Cancel::default()).unwrap();
            let analyzed = Query { analyze: true, ..query.clone() };
            let mut measured =
                ask(&engine(false), memory(None), &analyzed, Cancel::default()).unwrap();
            let plan = measured.plan.take().expect("was asked for");
            // How much is held at once depends on how far each thread is.
            plain.stats.peak_samples = measured.stats.peak_samples;
            assert_eq!(plain, measured, "{text}");
            let (mut shown, mut expected) = (Vec::new(), Vec::new());
            all(&plan, &mut shown);
            let explained = explain(&query).unwrap();
            all(&explained, &mut expected);
            assert_eq!(shown.len(), expected.len());
            let mut read = 0;
            for (node, alone) in shown.iter().zip(expected) {
                assert_eq!(node.estimated, alone.estimated, "{text}: {}", node.text);
                assert_eq!(alone.measured, None);
                let cost = node.measured.expect("was measured");
                assert!(cost.series <= node.estimated.series, "{text}: {node:?}");
                let leaf = node.estimated.requests > 0;
                assert!(!leaf || cost.samples > 0 && cost.seconds > 0.0, "{text}: {node:?}");
                read += if leaf { cost.series } else { 0 };
            }
            assert_eq!(read, measured.stats.series_read, "{text}");
            assert_eq!(plan.text, *text);
        }
    }
}

#[test]
fn parts_say_what_they_do() {
    let check = |text: &str, expected: &[&str]| {
        let plan = explain(&Query::range(text, 0, 600_000, 60_000)).unwrap();
        let (mut nodes, mut found) = (Vec::new(), Vec::new());
        all(&plan, &mut nodes);
        nodes.iter().for_each(|n| found.push(format!("{} {}", n.operator, n.text)));
        assert_eq!(found, expected, "{text}");
    };
    check(
        "sum by (a) (rate(m[5m])) / 2",
        &[
            "/ sum by (a) (rate(m[5m])) / 2",
            "sum sum by (a) (rate(m[5m]))",
            "rate rate(m[5m])",
            "range m[5m]",
            "number 2",
        ],
    );
    check(
        "1 - (m + m @ 60)",
        &["- 1 - (m + m @ 60)", "number 1", "select m", "once m @ 60", "select m @ 60"],
    );
    check(
        "max_over_time(abs(m)[5m:1m])",
        &[
            "max_over_time max_over_time(abs(m)[5m:1m])",
            "subquery abs(m)[5m:1m]",
            "abs abs(m)",
            "select m",
        ],
    );
    check("topk(2, m)", &["topk topk(2, m)", "number 2", "select m"]);
}

#[test]
fn a_long_chain_is_one_part() {
    let text = vec!["m"; 1000].join(" + on (a, b) ");
    let plan = explain(&Query::instant(text, 600_000)).unwrap();
    assert_eq!(plan.parts.len(), 1000);
}

#[test]
fn what_storage_cannot_tell_fails() {
    let error =
        SourceError { kind: varve_model::ErrorKind::Unavailable, message: "away".to_owned() };
    let source = Arc::new(memory(Some(error)));
    let refused = block_on(engine(false).explain(&Query::instant("m", 0), source)).unwrap_err();
    assert_eq!(refused.message, "away");
}
