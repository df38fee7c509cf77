//! The answer to a sender. Stock senders repeat 5xx and drop everything else
//! that is not 2xx, so 5xx wins whenever any part can still succeed.

use std::collections::BTreeSet;
use std::time::Duration;

use varve_api::WriteReply;
use varve_model::ErrorKind;

use crate::WriteError;
use crate::body::Body;
use crate::forward::Outcome;
use crate::refusal::{Refusals, Refused};
use crate::validate::shorten;

/// The answer to a request of which nothing was written.
pub(crate) fn error(e: &WriteError, retry_after: Duration) -> WriteReply {
    let (status, retry_after) = match e {
        WriteError::Rate { retry_after, .. } => (429, Some(*retry_after)),
        _ => match e.kind() {
            ErrorKind::TooLarge => (413, None),
            ErrorKind::Invalid => (400, None),
            ErrorKind::Unavailable | ErrorKind::Timeout => (503, Some(retry_after)),
            _ => (500, None),
        },
    };
    WriteReply { status, message: e.to_string(), retry_after, ..WriteReply::default() }
}

/// The answer to a request that was sent on. What it counts as written is
/// durable, whatever its status.
pub(crate) fn answer(outcome: &Outcome, body: &Body, retry_after: Duration) -> WriteReply {
    let refused = refused(&outcome.refusals, body);
    let mut reply = match outcome.errors.first() {
        Some(e) => {
            let mut reply = error(e, retry_after);
            // Nothing is lost by a retry. Only what is too large for a
            // partition's log can never be won by one.
            if outcome.errors.iter().any(|e| e.kind() != ErrorKind::TooLarge) {
                reply.status = reply.status.max(500);
            }
            if !refused.is_empty() {
                reply.message = format!("{}; {refused}", reply.message);
            }
            reply
        }
        None if refused.is_empty() => WriteReply { status: 204, ..WriteReply::default() },
        None => WriteReply { status: 400, message: refused, ..WriteReply::default() },
    };
    reply.samples = outcome.samples;
    reply.histograms = outcome.histograms;
    reply.exemplars = outcome.exemplars;
    reply
}

/// How many were refused, why, and the first few by name.
pub(crate) fn refused(refusals: &Refusals, body: &Body) -> String {
    if refusals.is_empty() {
        return String::new();
    }
    let counts: Vec<String> =
        refusals.counts.iter().map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
    let wanted: BTreeSet<u32> = refusals.first.iter().filter_map(|r| r.ordinal).collect();
    let labels = body.labels(&wanted).unwrap_or_default();
    let first: Vec<String> = refusals
        .first
        .iter()
        .map(|r| line(r, r.ordinal.and_then(|o| labels.get(&o)).map(Vec::as_slice)))
        .collect();
    let more = if refusals.total() > first.len() as u64 { "; ..." } else { "" };
    let (total, counts) = (refusals.total(), counts.join(", "));
    format!("{total} refused for good ({counts}), the rest is kept: {}{more}", first.join("; "))
}

fn line(r: &Refused, labels: Option<&[(&str, &str)]>) -> String {
    let mut out = String::from(r.reason.as_str());
    if let Some(labels) = labels {
        out.push(' ');
        out.push_str(&series(labels));
    }
    if let Some(time) = r.time {
        out.push_str(&format!(" at {time}"));
    }
    if !r.detail.is_empty() {
        out.push_str(&format!(": {}", r.detail));
    }
    if let Some(setting) = r.reason.setting() {
        out.push_str(&format!(" ({setting})"));
    }
    out
}

/// A series as people write it, cut to a readable length.
fn series(labels: &[(&str, &str)]) -> String {
    const SHOWN: usize = 12;
    let mut name = "";
    let mut rest = Vec::new();
    for (n, v) in labels {
        if *n == "__name__" {
            name = v;
        } else if rest.len() < SHOWN {
            rest.push(format!("{}={:?}", shorten(n), shorten(v)));
        }
    }
    format!("{}{{{}}}", shorten(name), rest.join(","))
}
