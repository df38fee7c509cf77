//! Whether the warnings, infos and errors of an evaluation are the expected ones.

use super::answer::Reply;
use super::script::{Eval, Pattern};

/// Compares annotations.
pub(crate) fn annotations(eval: &Eval, reply: &Reply) -> Result<(), String> {
    if eval.warn && reply.warnings.is_empty() {
        return Err("expected a warning".to_owned());
    }
    if eval.info && reply.infos.is_empty() {
        return Err("expected an info".to_owned());
    }
    of("warning", &eval.warnings, &reply.warnings)?;
    of("info", &eval.infos, &reply.infos)?;
    if eval.no_warn && !reply.warnings.is_empty() {
        return Err(format!("unexpected warnings {:?}", reply.warnings));
    }
    if eval.no_info && !reply.infos.is_empty() {
        return Err(format!("unexpected infos {:?}", reply.infos));
    }
    Ok(())
}

fn of(kind: &str, expected: &[Pattern], got: &[String]) -> Result<(), String> {
    if expected.is_empty() {
        return Ok(());
    }
    if let Some(e) = expected.iter().find(|e| !got.iter().any(|g| e.holds(g))) {
        return Err(format!("expected {kind} {e}, got {got:?}"));
    }
    match got.iter().find(|g| !expected.iter().any(|e| e.holds(g))) {
        Some(g) => Err(format!("unexpected {kind} {g}")),
        None => Ok(()),
    }
}

/// Compares an error.
pub(crate) fn failure(eval: &Eval, message: &str) -> Result<(), String> {
    if !eval.fail {
        return Err(format!("failed: {message}"));
    }
    match &eval.fail_pattern {
        Some(p) if !p.holds(message) => Err(format!("expected error {p}, got {message}")),
        _ => Ok(()),
    }
}
