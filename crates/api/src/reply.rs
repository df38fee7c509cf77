//! What is sent back: Prometheus' envelope around data, and its error types
//! with their statuses. This is the one place that maps [`ErrorKind`] to HTTP.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use varve_model::ErrorKind;
use varve_promql::source::Charge;

use crate::json::push_string;
use crate::querier::{Answer, QueryError};

/// How complete an answer is: one line of JSON.
pub(crate) const COVERAGE: HeaderName = HeaderName::from_static("x-varve-coverage");

/// Most warnings, and most infos, that an answer shows.
const MAX_ANNOTATIONS: usize = 10;

/// An error as a client sees it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    /// A parameter that cannot be used.
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    /// A body beyond a limit, and the setting in brackets where it is one.
    pub(crate) fn too_large(limit: usize, setting: &str) -> Self {
        let message = format!("request body is larger than the limit of {limit} bytes{setting}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", message)
    }

    pub(crate) fn unsupported(message: String) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data", message)
    }

    /// As plain text, for routes that do not answer with the envelope.
    pub(crate) fn into_text(self) -> Response {
        (self.status, self.message + "\n").into_response()
    }
}

impl From<QueryError> for ApiError {
    fn from(e: QueryError) -> Self {
        let client_closed = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
        let (status, kind) = match e.kind {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthorized"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
            ErrorKind::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            ErrorKind::Limited => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            ErrorKind::Canceled => (client_closed, "canceled"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        Self::new(status, kind, e.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = String::from("{\"status\":\"error\",\"errorType\":");
        push_string(&mut body, self.kind);
        body.push_str(",\"error\":");
        push_string(&mut body, &self.message);
        body.push('}');
        let mut response = json(self.status, body);
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.kind == "unavailable" {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A success: `write` appends the data as JSON.
pub(crate) fn success(write: impl FnOnce(&mut String)) -> Response {
    answer(Answer::from(()), |out, ()| write(out))
}

/// A success with annotations and coverage; `write` appends the value as JSON.
pub(crate) fn answer<T>(answer: Answer<T>, write: impl FnOnce(&mut String, T)) -> Response {
    let mut body = String::from(OPEN);
    write(&mut body, answer.value);
    push_end(&mut body, answer.warnings, answer.infos);
    covered(json(StatusCode::OK, body), answer.coverage)
}

/// How every success begins.
const OPEN: &str = "{\"status\":\"success\",\"data\":";

/// A long answer goes to its client in pieces of about so many bytes.
const PIECE: usize = 64 << 10;

/// A success whose data are a list within `around`: it is rendered piece by
/// piece as the client takes it, and what is charged for it is held so long.
pub(crate) fn answer_list<T: Send + 'static>(
    answer: Answer<Vec<T>>,
    around: (&str, &str),
    push: fn(&mut String, &T),
) -> Response {
    let mut end = String::from(around.1);
    push_end(&mut end, answer.warnings, answer.infos);
    let mut list = List {
        text: [OPEN, around.0, "["].concat(),
        items: answer.value.into_iter(),
        push,
        first: true,
        end: Some(format!("]{end}")),
        _held: answer.held,
    };
    let first = list.piece().unwrap_or_default();
    let body = match list.end {
        None => Body::from(first),
        Some(_) => {
            let rest =
                stream::unfold(list, |mut list| async move { list.piece().map(|p| (p, list)) });
            Body::from_stream(
                stream::once(async move { first }).chain(rest).map(Ok::<_, Infallible>),
            )
        }
    };
    covered(json(StatusCode::OK, body), answer.coverage)
}

/// A list that is being rendered.
struct List<T> {
    text: String,
    items: std::vec::IntoIter<T>,
    push: fn(&mut String, &T),
    first: bool,
    /// What follows the last item; `None` once it is rendered.
    end: Option<String>,
    _held: Option<Arc<Charge>>,
}

impl<T> List<T> {
    /// The next piece, `None` after the last.
    fn piece(&mut self) -> Option<String> {
        while self.end.is_some() && self.text.len() < PIECE {
            match self.items.next() {
                Some(item) => {
                    if !std::mem::take(&mut self.first) {
                        self.text.push(',');
                    }
                    (self.push)(&mut self.text, &item);
                }
                None => self.text.push_str(&self.end.take().unwrap_or_default()),
            }
        }
        let piece = std::mem::take(&mut self.text);
        (!piece.is_empty()).then_some(piece)
    }
}

/// Annotations and the end of the envelope.
fn push_end(body: &mut String, warnings: Vec<String>, infos: Vec<String>) {
    for (name, kind, list) in [("warnings", "warning", warnings), ("infos", "info", infos)] {
        push_annotations(body, name, kind, list);
    }
    body.push('}');
}

fn covered(mut response: Response, coverage: Option<String>) -> Response {
    let coverage = coverage.as_deref().map(ascii_json);
    if let Some(value) = coverage.and_then(|c| HeaderValue::from_str(&c).ok()) {
        response.headers_mut().insert(COVERAGE, value);
    }
    response
}

/// The same JSON with everything escaped that a header cannot hold.
fn ascii_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (' '..='~').contains(&c) {
            out.push(c);
        } else if !c.is_control() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn push_annotations(body: &mut String, name: &str, kind: &str, mut list: Vec<String>) {
    if list.is_empty() {
        return;
    }
    let more = list.len().saturating_sub(MAX_ANNOTATIONS);
    list.truncate(MAX_ANNOTATIONS);
    if more > 0 {
        list.push(format!("{more} more {kind} annotations omitted"));
    }
    body.push_str(",\"");
    body.push_str(name);
    body.push_str("\":");
    crate::json::push_list(body, list, |out, text| push_string(out, &text));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use varve_promql::source::{MemoryBudget, OverBudget};

    use super::*;

    /// Counts what is in use.
    #[derive(Default)]
    struct Used(AtomicUsize);

    impl MemoryBudget for Used {
        fn take(&self, bytes: usize) -> Result<(), OverBudget> {
            self.0.fetch_add(bytes, Ordering::Relaxed);
            Ok(())
        }

        fn give(&self, bytes: usize) {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn long_lists_come_in_pieces_and_hold_their_charge_to_the_end() {
        let items: Vec<String> = (0..20_000).map(|i| format!("item {i}")).collect();
        let used = Arc::new(Used::default());
        let budget: Arc<dyn MemoryBudget> = used.clone();
        let held = Charge::take(&budget, 7).map(Arc::new).ok();
        let mut asked = Answer { held, ..Answer::from(items.clone()) };
        asked.warnings.push("w".to_owned());
        let response = answer_list(asked, ("{\"x\":", "}"), |out, item| push_string(out, item));
        let mut pieces = response.into_body().into_data_stream();
        let (mut body, mut count) = (Vec::new(), 0);
        while let Some(piece) = pieces.next().await {
            assert_eq!(used.0.load(Ordering::Relaxed), 7, "piece {count}");
            let piece = piece.unwrap();
            assert!(piece.len() < 2 * PIECE, "{}", piece.len());
            body.extend_from_slice(&piece);
            count += 1;
        }
        drop(pieces);
        assert!(count > 2, "{count} pieces");
        assert_eq!(used.0.load(Ordering::Relaxed), 0);
        let got: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let want =
            serde_json::json!({"status": "success", "data": {"x": items}, "warnings": ["w"]});
        assert_eq!(got, want);
    }

    #[test]
    fn coverage_fits_a_header() {
        assert_eq!(ascii_json("{\"a\":\"é\u{1f600}\"}\n"), "{\"a\":\"\\u00e9\\ud83d\\ude00\"}");
    }
}
