//! The parameters of a request: those of a form body first, then those of
//! the URL.

use std::io::Read;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method};

use crate::reply::ApiError;

/// The largest form, in bytes, also after decompression (Go's limit).
const MAX_FORM: usize = 10 << 20;

/// Names and values, in order.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The first value, empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All values.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::new();
        let has_form = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
        if parts.method == Method::POST && has_form {
            let bytes = read_body(&parts.headers, body, MAX_FORM).await?;
            pairs.extend(decode(&inflate(&parts.headers, bytes)?)?);
        }
        pairs.extend(decode(parts.uri.query().unwrap_or("").as_bytes())?);
        Ok(Self(pairs))
    }
}

fn decode(text: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    serde_urlencoded::from_bytes(text)
        .map_err(|e| ApiError::bad_data(format!("error parsing form values: {e}")))
}

/// Reads a body of at most `limit` bytes; one that says that it is longer is
/// refused before it is read.
async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
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
