//! Runs the commands of a script.

use std::sync::Arc;

use futures::executor::block_on;
use varve_promql::engine::{Cancel, Engine, EngineError, EngineOptions, Query};
use varve_promql::parse::Options;
use varve_promql::value::{InstantSample, QueryOutput, QueryValue, Value};

use crate::check;
use crate::compare::{Times, compare, sorted};
use crate::script::{Command, Eval, When};
use crate::store::Store;
use crate::vary::variations;

/// What became of the evaluations of a script, by line.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) refused: Vec<(usize, String)>,
    pub(crate) wrong: Vec<(usize, String)>,
}

/// Why an evaluation did not pass.
enum Trouble {
    Refused(String),
    Wrong(String),
}

impl From<String> for Trouble {
    fn from(e: String) -> Self {
        Self::Wrong(e)
    }
}

/// The engine as Prometheus' runner sets it up.
fn engine() -> Engine {
    Engine::new(EngineOptions {
        lookback_ms: 5 * 60 * 1000,
        default_subquery_step_ms: 60 * 1000,
        max_samples: 50_000_000,
        delayed_name_removal: true,
        start_timestamps: true,
        type_and_unit_labels: false,
        per_step_stats: false,
        parse: Options::all(),
    })
}

/// Runs a script.
pub(crate) fn run(commands: &[Command]) -> Report {
    let engine = engine();
    let mut store = Store::new();
    let mut report = Report::default();
    for command in commands {
        match command {
            Command::Clear => store.clear(),
            Command::Load(load) => store.load(load),
            Command::Eval(e) => {
                let what = std::panic::AssertUnwindSafe(|| eval(&engine, &store, e));
                match std::panic::catch_unwind(what) {
                    Ok(Ok(())) => report.passed += 1,
                    Ok(Err(Trouble::Refused(why))) => report.refused.push((e.line, why)),
                    Ok(Err(Trouble::Wrong(why))) => report.wrong.push((e.line, why)),
                    Err(_) => report.wrong.push((e.line, format!("panicked: {}", e.expr))),
                }
            }
        }
    }
    report
}

fn ask(engine: &Engine, store: &Store, query: &Query) -> Result<QueryOutput, EngineError> {
    let source = Arc::new(store.clone());
    let budget = Arc::clone(&store.budget);
    let output = block_on(engine.run(query, source, budget, Cancel::default()));
    assert_eq!(store.budget.in_use(), 0, "memory is still charged after {}", query.text);
    output
}

fn eval(engine: &Engine, store: &Store, e: &Eval) -> Result<(), Trouble> {
    match e.when {
        When::Range { start, end, step } => {
            let query = Query::range(&e.expr, start, end, step);
            let Some(output) = answer(engine, store, e, &query)? else { return Ok(()) };
            compare(e, &output.value, &Times { start, step })
                .map_err(|w| format!("{}: {w}", e.expr).into())
        }
        When::Instant(time) => {
            for (expr, time) in variations(&e.expr, time) {
                instant(engine, store, e, &expr, time).map_err(|t| match t {
                    Trouble::Wrong(w) => Trouble::Wrong(format!("{expr} at {time}: {w}")),
                    refused @ Trouble::Refused(_) => refused,
                })?;
            }
            Ok(())
        }
    }
}

/// The answer, or nothing when the query fails as expected.
fn answer(
    engine: &Engine,
    store: &Store,
    e: &Eval,
    query: &Query,
) -> Result<Option<QueryOutput>, Trouble> {
    match ask(engine, store, query) {
        Err(error) if error.message.ends_with("is not supported yet") => {
            Err(Trouble::Refused(error.message))
        }
        Err(error) => {
            check::failure(e, &error.message)?;
            Ok(None)
        }
        Ok(_) if e.fail => Err(Trouble::Wrong("expected a failure".to_owned())),
        Ok(output) => {
            check::annotations(e, &output)?;
            Ok(Some(output))
        }
    }
}

fn instant(engine: &Engine, store: &Store, e: &Eval, expr: &str, time: i64) -> Result<(), Trouble> {
    let Some(output) = answer(engine, store, e, &Query::instant(expr, time))? else {
        return Ok(());
    };
    let (start, _, step) = e.matrix.unwrap_or((time, time, 1));
    compare(e, &output.value, &Times { start, step })?;
    let context = ["start()", "end()", "range()", "step()"].iter().any(|f| expr.contains(f));
    let vector = matches!(output.value, QueryValue::Vector(_) | QueryValue::Scalar { .. });
    if !vector || context {
        return Ok(());
    }
    // The middle step of a range query has to be the same.
    let minute = 60_000;
    let query = Query::range(expr, time - minute, time + minute, minute);
    let ranged = ask(engine, store, &query)
        .map_err(|error| Trouble::Wrong(format!("failed in range mode: {}", error.message)))?;
    if e.ordered {
        return Ok(());
    }
    let QueryValue::Matrix(all) = ranged.value else {
        return Err(Trouble::Wrong("range mode did not give a matrix".to_owned()));
    };
    sorted(&all)?;
    let mut vector = Vec::new();
    for s in &all {
        let labels = s.labels.clone();
        if let Ok(i) = s.floats.times.binary_search(&time) {
            let value = Value::Float(s.floats.values[i]);
            vector.push(InstantSample { labels, time_ms: time, value });
        } else if let Ok(i) = s.histograms.times.binary_search(&time) {
            let value = Value::Histogram(s.histograms.values[i].clone());
            vector.push(InstantSample { labels, time_ms: time, value });
        }
    }
    let value = match (&output.value, vector.first().map(|s| s.value.clone())) {
        (QueryValue::Scalar { .. }, Some(Value::Float(value))) => {
            QueryValue::Scalar { time_ms: time, value }
        }
        _ => QueryValue::Vector(vector),
    };
    compare(e, &value, &Times { start: time, step: 1 })
        .map_err(|w| format!("in range mode: {w}").into())
}
