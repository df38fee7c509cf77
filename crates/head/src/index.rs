//! The label index of one tenant: name → value → references, sorted.
//!
//! References are given out in rising order, so that adding is appending. A
//! matcher is decided on the values of its name; an absent label has the
//! empty value, so matchers that take it filter what the others found.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use varve_model::{Labels, Matcher};

/// References of the series that carry one value of one label, sorted.
type Postings = Vec<u64>;

/// Which series carry which labels.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, Postings>>,
    all: Postings,
}

impl Index {
    /// Adds a series; its reference is higher than all before.
    pub(crate) fn add(&mut self, reference: u64, labels: &Labels) {
        add(&mut self.all, reference);
        for (name, value) in labels {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(postings) => add(postings, reference),
                None => {
                    values.insert(value.into(), vec![reference]);
                }
            }
        }
    }

    /// Removes series; `gone` is sorted by reference.
    pub(crate) fn remove(&mut self, gone: &[(u64, Labels)]) {
        let is_gone = |r: &u64| gone.binary_search_by_key(r, |(g, _)| *g).is_ok();
        self.all.retain(|r| !is_gone(r));
        let mut touched = std::collections::HashSet::new();
        for (name, value) in gone.iter().flat_map(|(_, labels)| labels.iter()) {
            if !touched.insert((name, value)) {
                continue;
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(postings) = values.get_mut(value) {
                postings.retain(|r| !is_gone(r));
                if postings.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// All label names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|n| &**n)
    }

    /// All values of one label, sorted.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flat_map(|values| values.keys().map(|v| &**v))
    }

    /// References of the series that all matchers take, sorted. `labels`
    /// tells the labels of a reference.
    pub(crate) fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        labels: impl Fn(u64) -> Option<&'a Labels>,
    ) -> Vec<u64> {
        // Matchers that need the label narrow by postings, fewest first.
        let mut found: Vec<Found<'_>> = matchers
            .iter()
            .filter(|m| !m.matches_empty())
            .map(|m| Found::new(self.matching(m)))
            .collect();
        found.sort_by_key(|f| f.size);
        let mut narrow = found.into_iter();
        let mut refs = match narrow.next() {
            Some(first) => first.union(),
            None => self.all.clone(),
        };
        for next in narrow {
            if refs.is_empty() {
                return refs;
            }
            let other = next.union();
            intersect(&mut refs, &other);
        }
        // The others are asked about each series that is left.
        for matcher in matchers.iter().filter(|m| m.matches_empty()) {
            let mut verdicts: HashMap<&str, bool> = HashMap::new();
            refs.retain(|r| {
                let Some(labels) = labels(*r) else { return false };
                let value = labels.get(matcher.name());
                *verdicts.entry(value).or_insert_with(|| matcher.matches(value))
            });
        }
        refs
    }

    /// Postings of the values that a matcher takes.
    fn matching(&self, matcher: &Matcher) -> Vec<&[u64]> {
        let Some(values) = self.names.get(matcher.name()) else { return Vec::new() };
        if let Some(set) = matcher.set_matches() {
            let mut set: Vec<&str> = set.iter().map(String::as_str).collect();
            set.sort_unstable();
            set.dedup();
            return set.into_iter().filter_map(|v| Some(values.get(v)?.as_slice())).collect();
        }
        values.iter().filter(|(v, _)| matcher.matches(v)).map(|(_, p)| p.as_slice()).collect()
    }

    /// Bytes of memory behind names and values, without the references.
    pub(crate) fn memory(&self) -> usize {
        self.names
            .iter()
            .map(|(n, values)| n.len() + 64 + values.keys().map(|v| v.len() + 64).sum::<usize>())
            .sum()
    }
}

/// Disjoint postings of one matcher.
struct Found<'a> {
    lists: Vec<&'a [u64]>,
    size: usize,
}

impl<'a> Found<'a> {
    fn new(lists: Vec<&'a [u64]>) -> Self {
        let size = lists.iter().map(|l| l.len()).sum();
        Self { lists, size }
    }

    fn union(self) -> Postings {
        let joined: Cow<'a, [u64]> = match self.lists.as_slice() {
            [] => Cow::Borrowed(&[]),
            [one] => Cow::Borrowed(one),
            many => {
                let mut all = many.concat();
                all.sort_unstable();
                Cow::Owned(all)
            }
        };
        joined.into_owned()
    }
}

/// Keeps of `refs` what is in `other` too. Both are sorted.
fn intersect(refs: &mut Postings, other: &[u64]) {
    let mut rest = other;
    refs.retain(|r| {
        // Gallops, then searches: cheap for few references in a long list.
        let mut step = 1;
        while step < rest.len() && rest[step - 1] < *r {
            step *= 2;
        }
        let upto = step.min(rest.len());
        let at = rest[..upto].partition_point(|o| o < r);
        rest = &rest[at..];
        rest.first() == Some(r)
    });
}

/// Appends with little spare room: there are many short lists.
fn add(postings: &mut Postings, reference: u64) {
    if postings.len() == postings.capacity() {
        postings.reserve_exact((postings.len() / 4).max(1));
    }
    postings.push(reference);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use varve_model::MatchOp;

    fn of(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("labels")
    }

    #[test]
    fn removed_series_leave_no_names_behind() {
        let mut index = Index::default();
        let (a, b) = (of(&[("x", "1"), ("y", "1")]), of(&[("x", "2")]));
        index.add(1, &a);
        index.add(2, &b);
        index.remove(&[(1, a)]);
        assert_eq!(index.names().collect::<Vec<_>>(), ["x"]);
        assert_eq!(index.values("x").collect::<Vec<_>>(), ["2"]);
        assert_eq!(index.select(&[], |_| None), [2]);
    }

    fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
        let op = prop_oneof![
            Just(MatchOp::Equal),
            Just(MatchOp::NotEqual),
            Just(MatchOp::Regex),
            Just(MatchOp::NotRegex)
        ];
        let value = prop_oneof![
            Just(""),
            Just("1"),
            Just("2"),
            Just("1|2"),
            Just("|1"),
            Just(".+"),
            Just(".*"),
            Just("[12]")
        ];
        let one = (op, "[abc]", value)
            .prop_map(|(op, name, value)| Matcher::new(op, &name, value).expect("matcher"));
        proptest::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn equals_asking_every_series(
            series in proptest::collection::vec(proptest::collection::btree_map("[abc]", "[0123]", 0..4), 0..20),
            matchers in matchers(),
        ) {
            let series: Vec<Labels> =
                series.iter().map(|p| Labels::from_pairs(p.iter()).expect("labels")).collect();
            let mut index = Index::default();
            for (i, labels) in series.iter().enumerate() {
                index.add(i as u64, labels);
            }
            let expected: Vec<u64> = (0..series.len())
                .filter(|i| matchers.iter().all(|m| m.matches(series[*i].get(m.name()))))
                .map(|i| i as u64)
                .collect();
            prop_assert_eq!(index.select(&matchers, |r| series.get(r as usize)), expected);
        }
    }
}
