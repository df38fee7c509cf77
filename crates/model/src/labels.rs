//! The identity of a series: a sorted set of name and value pairs.
//!
//! One allocation, in Prometheus' `stringlabels` byte encoding (each string
//! behind its length: one byte below 255, else 255 and three bytes, little
//! endian). The encoding is canonical, so equality is equality of bytes, and
//! the 64-bit hash that `limit_ratio` and sharding use equals Prometheus'.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The label that carries the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The longest name or value: what three length bytes can say.
const MAX_STRING: usize = (1 << 24) - 1;

/// Whether a label describes the metric rather than what it was measured on,
/// so that functions which change the meaning of a value drop it.
pub fn is_metadata_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// A sorted set of labels.
///
/// * names are unique and sorted by bytes
/// * names are not empty; empty values are dropped (absent = empty)
/// * every string is UTF-8 and shorter than 16 MiB
#[derive(Clone)]
pub struct Labels(Arc<[u8]>);

/// Something by label set; asked by [`Labels::as_bytes`], too.
pub type LabelMap<V> = HashMap<Labels, V, foldhash::fast::RandomState>;

/// Some label sets.
pub type LabelSet = HashSet<Labels, foldhash::fast::RandomState>;

/// Why bytes or pairs are not a label set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Bytes that end in the middle of a string.
    #[error("label set is cut short at byte {0}")]
    Truncated(usize),
    /// Bytes that are not UTF-8.
    #[error("label set has bytes that are not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Two labels with one name.
    #[error("label name {0:?} is used twice")]
    Duplicate(String),
    /// Names out of order in encoded bytes.
    #[error("label name {0:?} is out of order")]
    Unsorted(String),
    /// A label without a name.
    #[error("label name is empty (value {0:?})")]
    EmptyName(String),
    /// An empty value in encoded bytes, which have one form only.
    #[error("label {0:?} has an empty value")]
    EmptyValue(String),
    /// A string of 16 MiB or more.
    #[error("label string of {0} bytes is longer than 16 MiB")]
    TooLong(usize),
}

impl Labels {
    /// No labels.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Sorts the pairs and drops empty values.
    ///
    /// # Errors
    /// On duplicate or empty names, and on strings of 16 MiB.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, LabelsError> {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let mut refs: Vec<(&str, &str)> =
            pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        refs.sort_unstable();
        let mut previous = None;
        for (name, value) in &refs {
            if name.is_empty() {
                return Err(LabelsError::EmptyName((*value).to_owned()));
            }
            if previous == Some(name) {
                return Err(LabelsError::Duplicate((*name).to_owned()));
            }
            if let Some(long) = [name, value].into_iter().find(|s| s.len() > MAX_STRING) {
                return Err(LabelsError::TooLong(long.len()));
            }
            previous = Some(name);
        }
        Ok(Self::encode(refs.into_iter()))
    }

    /// Puts a label set together again from pairs that were taken out of one:
    /// sorted by name, none twice, no string empty or too long.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        debug_assert!(pairs.clone().is_sorted_by(|a, b| a.0 < b.0), "pairs are sorted by name");
        Self::encode(pairs)
    }

    /// Takes the encoding that [`Labels::as_bytes`] gives, after checking it.
    ///
    /// # Errors
    /// On anything that `as_bytes` could not have produced.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LabelsError> {
        let mut at = 0;
        let mut previous = "";
        while at < bytes.len() {
            let name = take_checked(bytes, &mut at)?;
            let value = take_checked(bytes, &mut at)?;
            if name.is_empty() {
                return Err(LabelsError::EmptyName(value.to_owned()));
            }
            if value.is_empty() {
                return Err(LabelsError::EmptyValue(name.to_owned()));
            }
            match previous.cmp(name) {
                Ordering::Less => previous = name,
                Ordering::Equal => return Err(LabelsError::Duplicate(name.to_owned())),
                Ordering::Greater => return Err(LabelsError::Unsorted(name.to_owned())),
            }
        }
        Ok(Self(bytes.into()))
    }

    /// The canonical encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The pairs in order of name.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// The value of a label, empty when absent.
    pub fn get(&self, name: &str) -> &str {
        let mut rest = &self.0[..];
        while let Some((n, after)) = split(rest) {
            let Some((value, after)) = split(after) else { break };
            match n.cmp(name.as_bytes()) {
                Ordering::Less => rest = after,
                Ordering::Equal => return std::str::from_utf8(value).unwrap_or_default(),
                Ordering::Greater => break,
            }
        }
        ""
    }

    /// The metric's name, empty when absent.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// XXH64 of the encoding: Prometheus' `Labels.Hash`.
    pub fn hash64(&self) -> u64 {
        xxhash_rust::xxh64::xxh64(&self.0, 0)
    }

    /// The labels for which `keep` holds.
    pub fn filter(&self, keep: impl FnMut(&str) -> bool) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        self.filter_into(keep, &mut out);
        Self(out.into())
    }

    /// Appends the encoding of the labels for which `keep` holds.
    pub fn filter_into(&self, mut keep: impl FnMut(&str) -> bool, out: &mut Vec<u8>) {
        let mut rest = &self.0[..];
        while let Some((name, after)) = split(rest) {
            let Some((_, after)) = split(after) else { break };
            if std::str::from_utf8(name).is_ok_and(&mut keep) {
                out.extend_from_slice(&rest[..rest.len() - after.len()]);
            }
            rest = after;
        }
    }

    /// A builder that starts from these labels.
    pub fn builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Bytes of memory behind this value, shared between its clones.
    pub fn memory(&self) -> usize {
        self.0.len() + 16
    }

    /// Whether another value shares this one's memory.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn encode<'a>(sorted: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut out = Vec::with_capacity(512);
        for (name, value) in sorted.filter(|(_, v)| !v.is_empty()) {
            put(&mut out, name);
            put(&mut out, value);
        }
        Self(out.into())
    }
}

fn put(out: &mut Vec<u8>, s: &str) {
    match u8::try_from(s.len()) {
        Ok(n) if n < 255 => out.push(n),
        _ => {
            out.push(255);
            out.extend_from_slice(&(s.len() as u32).to_le_bytes()[..3]);
        }
    }
    out.extend_from_slice(s.as_bytes());
}

/// Splits one length-prefixed string off, `None` when the bytes are too few.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (len, rest) = if first < 255 {
        (usize::from(first), rest)
    } else {
        let (n, rest) = rest.split_at_checked(3)?;
        (usize::from(n[0]) | usize::from(n[1]) << 8 | usize::from(n[2]) << 16, rest)
    };
    rest.split_at_checked(len)
}

fn take_checked<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a str, LabelsError> {
    let start = *at;
    let (s, rest) = split(&bytes[start..]).ok_or(LabelsError::Truncated(start))?;
    // One form only: the long form is for long strings.
    if bytes[start] == 255 && s.len() < 255 {
        return Err(LabelsError::Truncated(start));
    }
    *at = bytes.len() - rest.len();
    std::str::from_utf8(s).map_err(|_| LabelsError::NotUtf8(start))
}

/// The pairs of a label set in order of name.
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let (s, rest) = split(self.rest)?;
        self.rest = rest;
        std::str::from_utf8(s).ok()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.take()?, self.take()?))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The encoding is canonical: equal bytes, equal labels.
impl Borrow<[u8]> for Labels {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Prometheus' order: by the first differing pair, name before value; a
/// prefix comes first.
/// In order of name and value, pair after pair, compared as bytes.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (&self.0[..], &other.0[..]);
        // Neighbours have most in common, and what is common needs no look at
        // each string.
        let lines = a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0);
        let common = 16 * lines.take_while(|(a, b)| a == b).count();
        loop {
            match (split(a), split(b)) {
                (Some((x, after_x)), Some((y, after_y))) => {
                    let at = self.0.len() - after_x.len();
                    if at > common {
                        match x.cmp(y) {
                            Ordering::Equal => {}
                            order => return order,
                        }
                    }
                    (a, b) = (after_x, after_y);
                }
                (x, y) => return x.is_some().cmp(&y.is_some()),
            }
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// Prometheus' `Labels.String`: `{a="b", c="d"}`, values quoted as Go does,
/// names quoted when they are not of the classic form.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_classic_name(name) {
                f.write_str(name)?;
            } else {
                write!(f, "{name:?}")?;
            }
            write!(f, "={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a label name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_classic_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Builds a label set by name; setting an empty value removes the label.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: std::collections::BTreeMap<String, String>,
}

impl LabelsBuilder {
    /// Sets a label, or removes it when the value is empty.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            self.pairs.remove(name);
        } else {
            self.pairs.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.remove(name);
        self
    }

    /// The value of a label, empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.get(name).map_or("", String::as_str)
    }

    /// The finished set. Names set empty are dropped.
    pub fn build(&self) -> Labels {
        let pairs = self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        Labels::encode(pairs.filter(|(n, _)| !n.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
    }

    #[test]
    fn sorted_unique_and_without_empty_values() {
        let l = labels(&[("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(l.to_string(), r#"{a="1", b="2"}"#);
        assert_eq!(l.get("b"), "2");
        assert_eq!(l.get("c"), "");
        assert!(Labels::from_pairs([("a", "1"), ("a", "2")]).is_err());
        assert!(Labels::from_pairs([("", "1")]).is_err());
    }

    #[test]
    fn order_is_that_of_prometheus() {
        let order = [
            labels(&[]),
            labels(&[("a", "1")]),
            labels(&[("a", "1"), ("b", "1")]),
            labels(&[("a", "10")]),
            labels(&[("a", "2")]),
            labels(&[("aa", "1")]),
            labels(&[("b", "0")]),
        ];
        assert!(order.is_sorted());
    }

    proptest! {
        #[test]
        fn bytes_round_trip(pairs in proptest::collection::btree_map(".{1,6}", ".{0,300}", 0..6)) {
            let l = Labels::from_pairs(pairs.iter()).expect("unique names");
            prop_assert_eq!(Labels::from_bytes(l.as_bytes()), Ok(l.clone()));
            prop_assert_eq!(l.builder().build(), l);
        }

        #[test]
        fn order_is_that_of_the_pairs(
            all in proptest::collection::vec(
                proptest::collection::btree_map("[ab]{1,9}", "[ab]{0,12}", 0..4), 0..12),
        ) {
            let mut all: Vec<Labels> =
                all.iter().map(|p| Labels::from_pairs(p.iter()).expect("unique names")).collect();
            all.sort();
            let pairs = |l: &Labels| l.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let pairs: Vec<Vec<(String, String)>> = all.iter().map(pairs).collect();
            prop_assert!(pairs.is_sorted(), "{pairs:?}");
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(0u8..8, 0..40)) {
            if let Ok(l) = Labels::from_bytes(&bytes) {
                prop_assert_eq!(Labels::from_pairs(l.iter()), Ok(l));
            }
        }
    }
}
