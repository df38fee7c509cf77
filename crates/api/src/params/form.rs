//! The parameters of a request: those of a form body first, then those of
//! the URL.
//!
//! Pairs are read as Go reads them: one with a malformed escape or a `;` is
//! left out, and only some routes ask whether there was any.

use std::io::Read;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method};
use varve_promql::parse::quote;

use crate::reply::ApiError;

/// The largest form, in bytes, also after decompression (Go's limit).
const MAX_FORM: usize = 10 << 20;

/// Names and values, in order.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
    /// What was wrong with pairs that were left out.
    fault: Option<String>,
}

impl Form {
    /// The first value, empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All values.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Form {
    /// Refuses a request of which pairs were left out.
    pub(crate) fn whole(&self) -> Result<(), ApiError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(ApiError::bad_data(format!("error parsing form values: {fault}"))),
        }
    }

    /// Adds the pairs of a body or a query string.
    fn add(&mut self, text: &[u8]) {
        let mut fault = None;
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if pair.contains(&b';') {
                fault = Some("invalid semicolon separator in query".to_owned());
                continue;
            }
            let (name, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[pair.len()..]),
            };
            match (unescape(name), unescape(value)) {
                (Ok(name), Ok(value)) => self.pairs.push((name, value)),
                (Err(e), _) | (_, Err(e)) => fault = fault.or(Some(e)),
            }
        }
        if self.fault.is_none() {
            self.fault = fault;
        }
    }
}

/// Undoes `+` and `%xx`. What is not UTF-8 then is replaced.
fn unescape(text: &[u8]) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
                let Some((high, low)) = digit(0).zip(digit(1)) else {
                    let shown = &after[..after.len().min(2)];
                    let shown = format!("%{}", String::from_utf8_lossy(shown));
                    return Err(format!("invalid URL escape {}", quote(&shown)));
                };
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            other => out.push(other),
        }
    }
    Ok(String::from_utf8(out)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut form = Self::default();
        let has_form = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
        if parts.method == Method::POST && has_form {
            let bytes = read_body(&parts.headers, body, MAX_FORM).await?;
            form.add(&inflate(&parts.headers, bytes)?);
        }
        form.add(parts.uri.query().unwrap_or("").as_bytes());
        Ok(form)
    }
}

/// Reads a body of at most `limit` bytes; one that says that it is longer is
/// refused before it is read.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|n| n > limit as u64) {
        return Err(ApiError::too_large(limit, ""));
    }
    to_bytes(body, limit).await.map_err(|e| {
        let too_long = std::error::Error::source(&e)
            .is_some_and(|s| s.is::<http_body_util::LengthLimitError>());
        if too_long {
            ApiError::too_large(limit, "")
        } else {
            ApiError::bad_data(format!("error reading the request body: {e}"))
        }
    })
}

/// Undoes gzip, when the headers name it.
fn inflate(headers: &HeaderMap, bytes: Bytes) -> Result<Bytes, ApiError> {
    match headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip") => {
            let mut out = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&bytes[..]).take(MAX_FORM as u64 + 1);
            decoder
                .read_to_end(&mut out)
                .map_err(|e| ApiError::bad_data(format!("request body is not gzip: {e}")))?;
            if out.len() > MAX_FORM {
                return Err(ApiError::too_large(MAX_FORM, ""));
            }
            Ok(out.into())
        }
        Some(other) => Err(ApiError::unsupported(format!(
            "content encoding {:?} is not supported, use gzip or none",
            String::from_utf8_lossy(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_gos() {
        let semicolon = "invalid semicolon separator in query";
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Pairs<'_>, Option<&str>); 8] = [
            ("", &[], None),
            ("a=b&c", &[("a", "b"), ("c", "")], None),
            ("&&a=b=c&=d", &[("a", "b=c"), ("", "d")], None),
            ("a=%41+%2B&%c3%a9=%ff", &[("a", "A +"), ("é", "\u{fffd}")], None),
            ("a=%zz&b=1", &[("b", "1")], Some("invalid URL escape \"%zz\"")),
            ("a=%4&b=%", &[], Some("invalid URL escape \"%4\"")),
            ("a=1;b=2&c=3", &[("c", "3")], Some(semicolon)),
            ("a=%x&b;&c=%y", &[], Some(semicolon)),
        ];
        for (text, pairs, fault) in cases {
            let mut form = Form::default();
            form.add(text.as_bytes());
            let got: Vec<(&str, &str)> =
                form.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!((&got[..], form.fault.as_deref()), (pairs, fault), "{text}");
        }
    }
}
