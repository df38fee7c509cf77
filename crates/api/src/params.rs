//! Parameters of requests: forms, times, durations, limits, selectors, read
//! the way Prometheus reads them and refused with its words.

mod form;
mod time;

pub(crate) use form::{Form, read_body};
pub(crate) use time::{parse_duration_ns, parse_time};

use varve_model::{Matcher, TimeRange};
use varve_promql::parse::{parse_metric_selector, quote};

use crate::reply::ApiError;

impl Form {
    /// `limit`: 0 is none.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(0);
        }
        match integer(text) {
            Ok(n) => usize::try_from(n)
                .map_err(|_| ApiError::parameter("limit", "limit must be non-negative")),
            Err(message) => Err(ApiError::parameter("limit", message)),
        }
    }

    /// What is on or off; off when it is not given.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            "" | "false" | "0" => Ok(false),
            "true" | "1" => Ok(true),
            other => {
                let message = format!("cannot parse {} as true or false", quote(other));
                Err(ApiError::parameter(name, message))
            }
        }
    }

    /// A time in milliseconds, or `default` when it is not given.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_time(text).map(Some).map_err(|e| {
                ApiError::parameter(name, format!("invalid time value for '{name}': {e}"))
            }),
        }
    }

    /// `start` and `end` as a left-open range; `None` when neither is given.
    pub(crate) fn range(&self) -> Result<Option<TimeRange>, ApiError> {
        let (start, end) = (self.time("start")?, self.time("end")?);
        if start.is_none() && end.is_none() {
            return Ok(None);
        }
        let start = start.map_or(i64::MIN, |t| t.saturating_sub(1));
        Ok(Some(TimeRange { start, end: end.unwrap_or(i64::MAX) }))
    }

    /// All `match[]`; each must be about something.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let mut selectors = Vec::new();
        for text in self.all("match[]") {
            selectors.push(parse_metric_selector(text).map_err(|e| e.to_string())?);
        }
        let empty = |s: &Vec<Matcher>| s.iter().all(Matcher::matches_empty);
        if selectors.iter().any(empty) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        Ok(selectors)
    }
}

/// Go's `strconv.Atoi`, with its error.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|e| {
        let why = match e.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {why}", quote(text))
    })
}

/// A label name from a path: `U__` names are unescaped.
///
/// Source: `UnescapeName` of Prometheus' common model. What is not a valid
/// escape stands for itself.
pub(crate) fn label_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    unescape(escaped).unwrap_or_else(|| name.to_owned())
}

fn unescape(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let end = rest.find('_').filter(|end| *end < 7)?;
        let digits = &rest[..end];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let cases = [
            ("job", "job"),
            ("U__a_2e_b", "a.b"),
            ("U__a__b", "a_b"),
            ("U___e9__1f600_", "é\u{1f600}"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_d800_", "U__a_d800_"),
        ];
        for (name, want) in cases {
            assert_eq!(label_name(name), want, "{name}");
        }
    }
}
