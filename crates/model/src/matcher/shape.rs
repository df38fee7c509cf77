//! Patterns that need no regex engine: a few known values, `.*`, `.+`, and
//! text at the start, the end or anywhere within.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most values that a pattern is spelled out into.
const MAX_VALUES: usize = 256;

/// What a pattern asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One of these, sorted.
    OneOf(Vec<String>),
    /// `.*text.*` with any of the three left out: what comes before, the
    /// text, what comes after.
    Around(Gap, String, Gap),
}

/// What may stand beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// `.*`
    Any,
    /// `.+`
    Some,
}

impl Gap {
    fn least(self) -> usize {
        usize::from(self == Self::Some)
    }
}

impl Shape {
    /// Any of these values.
    pub(super) fn one_of(mut values: Vec<String>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self::OneOf(values)
    }

    /// The shape of a pattern in the syntax of the `regex` crate.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .build()
            .parse(pattern)
            .ok()?;
        if let Some(values) = values(&hir) {
            return Some(Self::one_of(values));
        }
        around(&hir)
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) if values.len() <= 8 => values.iter().any(|v| v == value),
            Self::OneOf(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Self::Around(before, text, after) => {
                let (b, a) = (before.least(), after.least());
                if value.len() < text.len() + b + a {
                    return false;
                }
                match (before, after) {
                    (Gap::None, Gap::None) => value == text,
                    (Gap::None, _) => value.starts_with(text.as_str()),
                    (_, Gap::None) => value.ends_with(text.as_str()),
                    // What stands beside no text is characters.
                    _ if text.is_empty() => value.chars().take(b + a).count() == b + a,
                    // Bytes, because the first and last byte may lie within a character.
                    _ => {
                        let inner = &value.as_bytes()[b..value.len() - a];
                        inner.windows(text.len()).any(|w| w == text.as_bytes())
                    }
                }
            }
        }
    }
}

/// All values that an expression takes, when they are few.
fn values(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
        HirKind::Class(Class::Unicode(class)) => {
            let mut chars = Vec::new();
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    chars.push(c.to_string());
                    if chars.len() > MAX_VALUES {
                        return None;
                    }
                }
            }
            Some(chars)
        }
        HirKind::Capture(capture) => values(&capture.sub),
        HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
            let mut inner = values(&r.sub)?;
            inner.push(String::new());
            Some(inner)
        }
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for part in parts {
                let next = values(part)?;
                if all.len() * next.len() > MAX_VALUES {
                    return None;
                }
                all = all.iter().flat_map(|a| next.iter().map(move |b| a.clone() + b)).collect();
            }
            Some(all)
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(values(part)?);
                if all.len() > 4 * MAX_VALUES {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// `.*text.*` and the like.
fn around(hir: &Hir) -> Option<Shape> {
    let one = std::slice::from_ref(hir);
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        HirKind::Capture(capture) => return around(&capture.sub),
        _ => one,
    };
    let (mut before, mut after) = (Gap::None, Gap::None);
    if let Some((first, rest)) = parts.split_first()
        && let Some(gap) = gap(first)
    {
        before = gap;
        parts = rest;
    }
    if let Some((last, rest)) = parts.split_last()
        && let Some(gap) = gap(last)
    {
        after = gap;
        parts = rest;
    }
    let text = match parts {
        [] => String::new(),
        [part] => match values(part)?.as_slice() {
            [text] => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some(Shape::Around(before, text, after))
}

/// `.*` or `.+`, greedy or not.
fn gap(hir: &Hir) -> Option<Gap> {
    let HirKind::Repetition(r) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(class)) = r.sub.kind() else { return None };
    let [range] = class.ranges() else { return None };
    if range.start() != '\0' || range.end() != char::MAX || r.max.is_some() {
        return None;
    }
    match r.min {
        0 => Some(Gap::Any),
        1 => Some(Gap::Some),
        _ => None,
    }
}
