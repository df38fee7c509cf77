//! Which tenant a request is about.
//!
//! It may be named by the header `X-Scope-OrgID`, by the user of basic
//! authentication, or by the path `/tenant/<id>/…`; whoever names it more than
//! once must name the same. A request that names none is `anonymous`'s.

use axum::extract::{FromRequestParts, RawPathParams};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use varve_model::TenantId;

use crate::reply::ApiError;

const HEADER: &str = "x-scope-orgid";

/// The tenant of a request.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub(crate) TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = match RawPathParams::from_request_parts(parts, state).await {
            Ok(params) => {
                params.iter().find(|(name, _)| *name == "tenant").map(|(_, v)| v.to_owned())
            }
            Err(e) => return Err(ApiError::bad_data(format!("bad path: {e}"))),
        };
        resolve(&parts.headers, path.as_deref()).map(Self)
    }
}

fn resolve(headers: &HeaderMap, path: Option<&str>) -> Result<TenantId, ApiError> {
    let mut named: Vec<(&str, String)> = Vec::new();
    for value in headers.get_all(HEADER) {
        let text = value
            .to_str()
            .map_err(|_| ApiError::bad_data("the header X-Scope-OrgID is not printable ASCII"))?;
        if !text.is_empty() {
            named.push(("the header X-Scope-OrgID", text.to_owned()));
        }
    }
    if let Some(user) = basic_user(headers)? {
        named.push(("the basic authentication user", user));
    }
    if let Some(path) = path {
        named.push(("the path", path.to_owned()));
    }
    let Some(((place, id), others)) = named.split_first() else {
        return Ok(TenantId::anonymous());
    };
    if let Some((other_place, other)) = others.iter().find(|(_, other)| other != id) {
        return Err(ApiError::bad_data(format!(
            "the request names two tenants: {place} says {id:?}, {other_place} says {other:?}"
        )));
    }
    TenantId::new(id).map_err(|e| ApiError::bad_data(format!("{place}: {e}")))
}

/// The user of basic authentication; other schemes name no tenant here.
fn basic_user(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Some(credentials) = value
        .as_bytes()
        .get(..6)
        .filter(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
        .map(|_| &value.as_bytes()[6..])
    else {
        return Ok(None);
    };
    let refuse = || {
        let message = "the Authorization header is not valid basic authentication";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    };
    let decoded = base64(credentials.trim_ascii()).ok_or_else(refuse)?;
    let text = String::from_utf8(decoded).map_err(|_| refuse())?;
    let (user, _) = text.split_once(':').ok_or_else(refuse)?;
    Ok((!user.is_empty()).then(|| user.to_owned()))
}

/// Standard base64, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1);
    if text.len() - end > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(end * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for b in &text[..end] {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // One digit alone holds no byte.
    (held < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        let cases: [(&str, Option<&[u8]>); 7] = [
            ("", Some(b"")),
            ("YTpi", Some(b"a:b")),
            ("YWI6", Some(b"ab:")),
            ("YTo=", Some(b"a:")),
            ("YTo", Some(b"a:")),
            ("Y", None),
            ("Y*==", None),
        ];
        for (text, want) in cases {
            assert_eq!(base64(text.as_bytes()).as_deref(), want, "{text}");
        }
    }
}
