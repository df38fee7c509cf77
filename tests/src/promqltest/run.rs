//! Runs the commands of a script.

use std::panic::{AssertUnwindSafe, catch_unwind};

use varve_promql::engine::Query;

use super::answer::{Answer, Reply};
use super::compare::{Times, compare, sorted};
use super::script::{Command, Eval, When};
use super::vary::variations;
use super::{Place, check, load};

/// What became of the evaluations of a script.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    /// By line: what was wrong.
    pub(crate) wrong: Vec<(usize, String)>,
}

/// Runs a script.
pub(crate) fn run(place: &mut dyn Place, commands: &[Command]) -> Outcome {
    let mut outcome = Outcome::default();
    place.clear();
    for command in commands {
        match command {
            Command::Clear => place.clear(),
            Command::Load(l) => place.load(load::series(l)),
            Command::Eval(e) => match catch_unwind(AssertUnwindSafe(|| eval(place, e))) {
                Ok(Ok(())) => outcome.passed += 1,
                Ok(Err(why)) => outcome.wrong.push((e.line, why)),
                Err(_) => outcome.wrong.push((e.line, format!("panicked: {}", e.expr))),
            },
        }
    }
    outcome
}

fn eval(place: &mut dyn Place, e: &Eval) -> Result<(), String> {
    match e.when {
        When::Range { start, end, step } => {
            let query = Query::range(&e.expr, start, end, step);
            let Some(reply) = reply(place, e, &query)? else { return Ok(()) };
            compare(e, &reply.answer, &Times { start, step })
                .map_err(|w| format!("{}: {w}", e.expr))
        }
        When::Instant(time) => {
            variations(&e.expr, time).into_iter().try_for_each(|(expr, time)| {
                instant(place, e, &expr, time).map_err(|w| format!("{expr} at {time}: {w}"))
            })
        }
    }
}

/// The reply, or nothing when the query fails as expected.
fn reply(place: &mut dyn Place, e: &Eval, query: &Query) -> Result<Option<Reply>, String> {
    match place.ask(query) {
        Err(message) => check::failure(e, &message).map(|()| None),
        Ok(_) if e.fail => Err("expected a failure".to_owned()),
        Ok(reply) => check::annotations(e, &reply).map(|()| Some(reply)),
    }
}

fn instant(place: &mut dyn Place, e: &Eval, expr: &str, time: i64) -> Result<(), String> {
    let Some(reply) = reply(place, e, &Query::instant(expr, time))? else { return Ok(()) };
    let (start, _, step) = e.matrix.unwrap_or((time, time, 1));
    compare(e, &reply.answer, &Times { start, step })?;
    let context = ["start()", "end()", "range()", "step()"].iter().any(|f| expr.contains(f));
    let ranges = matches!(reply.answer, Answer::Vector(_) | Answer::Scalar(_));
    if !ranges || context {
        return Ok(());
    }
    // The middle step of a range query has to be the same.
    let minute = 60_000;
    let ranged = place
        .ask(&Query::range(expr, time - minute, time + minute, minute))
        .map_err(|e| format!("in range mode: {e}"))?;
    sorted(&ranged.answer)?;
    if e.ordered {
        return Ok(());
    }
    let answer = match (reply.answer, ranged.answer.at(time)) {
        (Answer::Scalar(_), Answer::Vector(all)) => match all.as_slice() {
            [(_, super::Point::Float(v))] => Answer::Scalar(*v),
            other => return Err(format!("in range mode: a scalar became {other:?}")),
        },
        (_, answer) => answer,
    };
    compare(e, &answer, &Times { start: time, step: 1 }).map_err(|w| format!("in range mode: {w}"))
}
