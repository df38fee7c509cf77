//! The model's values in the messages of `varve.v1`, and back.
//!
//! Functions named after a value make the message; those that begin with
//! `read_` check one that came from outside.

use bytes::Bytes;
use tonic::Status;
use varve_model::{
    ErrorKind, Exemplar, Labels, LabelsError, MatchOp, Matcher, MatcherError, Metadata, MetricType,
    TenantError, TenantId, TimeRange,
};

use crate::{status, v1};

/// Why a message does not hold what it should.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// The request does not say what it is about.
    #[error("request has no scope")]
    NoScope,
    /// A tenant name that is none.
    #[error("scope: {0}")]
    Tenant(#[from] TenantError),
    /// A matcher that does not compile.
    #[error("matcher: {0}")]
    Matcher(#[from] MatcherError),
    /// A matcher operator of the future.
    #[error("matcher of label {0:?} has the unknown operator {1}")]
    Operator(String, i32),
    /// Bytes that are no label set.
    #[error("labels: {0}")]
    Labels(#[from] LabelsError),
}

impl ConvertError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl From<ConvertError> for Status {
    fn from(e: ConvertError) -> Self {
        status::status(e.kind(), e.to_string())
    }
}

/// What is asked of whom, without partitions or blocks.
pub fn scope(tenant: &TenantId, range: TimeRange) -> v1::Scope {
    v1::Scope {
        tenant: tenant.as_str().to_owned(),
        start: range.start,
        end: range.end,
        partitions: Vec::new(),
        blocks: Vec::new(),
        beside_version: 0,
    }
}

/// The tenant and range of a request.
///
/// # Errors
/// When there is no scope, or its tenant is not a name.
pub fn read_scope(scope: Option<&v1::Scope>) -> Result<(TenantId, TimeRange), ConvertError> {
    let scope = scope.ok_or(ConvertError::NoScope)?;
    Ok((TenantId::new(&scope.tenant)?, TimeRange::new(scope.start, scope.end)))
}

/// One matcher.
pub fn matcher(m: &Matcher) -> v1::Matcher {
    let op = match m.op() {
        MatchOp::Equal => v1::matcher::Op::Equal,
        MatchOp::NotEqual => v1::matcher::Op::NotEqual,
        MatchOp::Regex => v1::matcher::Op::Regex,
        MatchOp::NotRegex => v1::matcher::Op::NotRegex,
    };
    v1::Matcher { op: op.into(), name: m.name().to_owned(), value: m.value().to_owned() }
}

/// A list of matchers.
pub fn matchers(ms: &[Matcher]) -> Vec<v1::Matcher> {
    ms.iter().map(matcher).collect()
}

/// Checks and compiles one matcher.
///
/// # Errors
/// On an unknown operator or a pattern that does not compile.
pub fn read_matcher(m: &v1::Matcher) -> Result<Matcher, ConvertError> {
    let op = match v1::matcher::Op::try_from(m.op) {
        Ok(v1::matcher::Op::Equal) => MatchOp::Equal,
        Ok(v1::matcher::Op::NotEqual) => MatchOp::NotEqual,
        Ok(v1::matcher::Op::Regex) => MatchOp::Regex,
        Ok(v1::matcher::Op::NotRegex) => MatchOp::NotRegex,
        Err(_) => return Err(ConvertError::Operator(m.name.clone(), m.op)),
    };
    Ok(Matcher::new(op, &m.name, &m.value)?)
}

/// Checks and compiles a list of matchers.
///
/// # Errors
/// As [`read_matcher`].
pub fn read_matchers(ms: &[v1::Matcher]) -> Result<Vec<Matcher>, ConvertError> {
    ms.iter().map(read_matcher).collect()
}

/// A label set in its canonical bytes.
pub fn labels(l: &Labels) -> Bytes {
    Bytes::copy_from_slice(l.as_bytes())
}

/// Checks a label set.
///
/// # Errors
/// On bytes that are not canonical.
pub fn read_labels(bytes: &[u8]) -> Result<Labels, ConvertError> {
    Ok(Labels::from_bytes(bytes)?)
}

/// One exemplar.
pub fn exemplar(e: &Exemplar) -> v1::Exemplar {
    v1::Exemplar { labels: labels(&e.labels), value: e.value, timestamp: e.timestamp }
}

/// Checks one exemplar.
///
/// # Errors
/// On labels that are not canonical.
pub fn read_exemplar(e: &v1::Exemplar) -> Result<Exemplar, ConvertError> {
    Ok(Exemplar { labels: read_labels(&e.labels)?, value: e.value, timestamp: e.timestamp })
}

/// What one metric family says of itself.
pub fn metadata(metric: &str, m: &Metadata) -> v1::MetricMetadata {
    v1::MetricMetadata {
        metric: metric.to_owned(),
        r#type: m.kind as u32,
        help: m.help.to_string(),
        unit: m.unit.to_string(),
    }
}

/// A metric family's name and what it says of itself.
pub fn read_metadata(m: v1::MetricMetadata) -> (String, Metadata) {
    let kind = MetricType::from_number(i32::try_from(m.r#type).unwrap_or_default());
    (m.metric, Metadata { kind, help: m.help.into(), unit: m.unit.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_survive_the_way() {
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let all: Vec<Matcher> =
            ops.into_iter().map(|op| Matcher::new(op, "job", "a|b.*").unwrap()).collect();
        assert_eq!(read_matchers(&matchers(&all)), Ok(all));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert_eq!(read_scope(None), Err(ConvertError::NoScope));
        let bad = v1::Scope { tenant: "a/b".to_owned(), ..Default::default() };
        assert!(matches!(read_scope(Some(&bad)), Err(ConvertError::Tenant(_))));
        let bad = v1::Matcher { op: 9, name: "a".to_owned(), value: String::new() };
        assert_eq!(read_matcher(&bad), Err(ConvertError::Operator("a".to_owned(), 9)));
        let bad = v1::Matcher { op: 2, name: "a".to_owned(), value: "(".to_owned() };
        assert!(matches!(read_matcher(&bad), Err(ConvertError::Matcher(_))));
        assert!(read_labels(&[5, 1]).is_err());
    }

    #[test]
    fn scope_and_metadata_survive_the_way() {
        let (tenant, range) = (TenantId::anonymous(), TimeRange::new(-5, 9));
        assert_eq!(read_scope(Some(&scope(&tenant, range))), Ok((tenant, range)));
        let m = Metadata { kind: MetricType::Summary, help: "h".into(), unit: "s".into() };
        assert_eq!(read_metadata(metadata("a", &m)), ("a".to_owned(), m));
    }
}
