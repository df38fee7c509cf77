//! Which series a selector takes.
//!
//! Regular expressions are Go's RE2, anchored on both ends with `(?s)`, as in
//! Prometheus 3. A pattern that takes a few known values, or only asks for
//! text at the start, the end or within, is matched without the regex engine.

mod re2;
mod shape;

use std::fmt;

use shape::Shape;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label; an absent label has the empty value.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    test: Test,
}

#[derive(Clone)]
enum Test {
    Literal,
    Shape(Shape),
    Regex(regex::Regex),
}

/// Why a matcher could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}")]
pub struct MatcherError {
    reason: String,
}

impl Matcher {
    /// Makes a matcher.
    ///
    /// # Errors
    /// When the operator is a regex one and the value is not a pattern.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, MatcherError> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Literal,
            MatchOp::Regex | MatchOp::NotRegex => compile(value)?,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), test })
    }

    /// `name = value`.
    pub fn equal(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self { name, op: MatchOp::Equal, value, test: Test::Literal }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value (empty when absent) is taken.
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::Literal => self.value == value,
            Test::Shape(shape) => shape.matches(value),
            Test::Regex(re) => re.is_match(value),
        };
        match self.op {
            MatchOp::Equal | MatchOp::Regex => hit,
            MatchOp::NotEqual | MatchOp::NotRegex => !hit,
        }
    }

    /// Whether series without the label are taken.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The only values that a positive matcher can take, when they are few and known.
    pub fn set_matches(&self) -> Option<&[String]> {
        match (self.op, &self.test) {
            (MatchOp::Equal, _) => Some(std::slice::from_ref(&self.value)),
            (MatchOp::Regex, Test::Shape(Shape::OneOf(values))) => Some(values),
            _ => None,
        }
    }
}

/// Compiles one of Go's regular expressions, anchored on both ends and with
/// `.` taking newlines too, as `label_replace` does.
///
/// # Errors
/// When Go would refuse the pattern, with Go's text; or when it needs more
/// than 16 MiB.
pub fn compile_regex(pattern: &str) -> Result<regex::Regex, MatcherError> {
    // What stands around the pattern is part of what Go reads: `\Qa` has no end.
    let whole = format!("^(?s:{pattern})$");
    build(&re2::translate(&whole).map_err(|reason| MatcherError { reason })?)
}

fn build(translated: &str) -> Result<regex::Regex, MatcherError> {
    regex::RegexBuilder::new(translated)
        .size_limit(16 << 20)
        .build()
        .map_err(|e| MatcherError { reason: e.to_string() })
}

/// Compiles a pattern; one of a simple shape needs no engine.
fn compile(pattern: &str) -> Result<Test, MatcherError> {
    if !pattern.contains(|c: char| r"\.+*?()[]{}^$".contains(c)) {
        return Ok(Test::Shape(Shape::one_of(pattern.split('|').map(str::to_owned).collect())));
    }
    let translated = re2::translate(pattern).map_err(|reason| MatcherError { reason })?;
    match Shape::of(&translated) {
        Some(shape) => Ok(Test::Shape(shape)),
        None => build(&format!("^(?s:{translated})$")).map(Test::Regex),
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
