//! The label index of one tenant: name → value → references.
//!
//! References are given out in rising order, so that adding is appending. A
//! matcher is decided on the values of its name; an absent label has the
//! empty value, so matchers that take it filter what the others found.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use varve_block::SORT_LABELS;
use varve_model::{Labels, Matcher};

use crate::dictionary::{Dictionary, Pair, PairId, Pairs};
use crate::postings::Postings;

/// A list this much longer than what was found so far is not read: the pairs
/// of what was found are looked at instead.
const LOOK_AT_PAIRS: usize = 16;

/// Which series carry which labels.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, PairId>>,
    dictionary: Dictionary,
    /// By pair.
    postings: Vec<Postings>,
    /// Numbers of pairs that are gone.
    free: Vec<PairId>,
    all: Postings,
    /// Bytes of memory behind names, values and their places.
    texts: usize,
}

impl Index {
    /// Adds a series; its reference is higher than all before.
    pub(crate) fn add(&mut self, reference: u64, labels: &Labels) -> Pairs {
        self.all.push(reference);
        let ids: Vec<PairId> = labels.iter().map(|(name, value)| self.id(name, value)).collect();
        for id in &ids {
            if let Some(postings) = self.postings.get_mut(*id as usize) {
                postings.push(reference);
            }
        }
        ids.into()
    }

    /// The highest reference that was added and not removed; 0 = none.
    pub(crate) fn last(&self) -> u64 {
        self.all.last()
    }

    /// The number of a pair, new if need be.
    fn id(&mut self, name: &str, value: &str) -> PairId {
        if !self.names.contains_key(name) {
            self.names.insert(name.into(), BTreeMap::new());
            self.texts += text_memory(name);
        }
        let there = self.names.get(name).and_then(|values| values.get(value));
        if let Some(id) = there {
            return *id;
        }
        let value: Arc<str> = value.into();
        self.texts += text_memory(&value) + size_of::<Pair>() + size_of::<Postings>();
        let name = self.names.get_key_value(name).map_or_else(|| name.into(), |(n, _)| n.clone());
        let pair = Pair { name: Arc::clone(&name), value: Arc::clone(&value) };
        let id = match self.free.pop() {
            Some(id) => {
                self.dictionary.set(id, Some(pair));
                id
            }
            None => {
                // A tenant of 2^32 pairs would need a hundred times the memory
                // that there is.
                let id = self.dictionary.len() as PairId;
                self.dictionary.push(pair);
                self.postings.push(Postings::default());
                id
            }
        };
        self.names.entry(name).or_default().insert(value, id);
        id
    }

    /// Removes series; `gone` is sorted by reference.
    pub(crate) fn remove(&mut self, gone: &[(u64, Pairs)]) {
        self.all = self.all.without(gone.iter().map(|(r, _)| *r));
        let mut touched: HashMap<PairId, Vec<u64>> = HashMap::new();
        for (reference, pairs) in gone {
            for id in pairs.iter() {
                touched.entry(*id).or_default().push(*reference);
            }
        }
        for (id, gone) in touched {
            let Some(postings) = self.postings.get_mut(id as usize) else { continue };
            *postings = postings.without(gone.into_iter());
            if postings.len() > 0 {
                continue;
            }
            let Some(Pair { name, value }) = self.dictionary.get(id).cloned() else { continue };
            self.dictionary.set(id, None);
            self.free.push(id);
            self.texts -= text_memory(&value) + size_of::<Pair>() + size_of::<Postings>();
            let Some(values) = self.names.get_mut(&name) else { continue };
            values.remove(&value);
            if values.is_empty() {
                self.names.remove(&name);
                self.texts -= text_memory(&name);
            }
        }
    }

    /// The pairs of all series, to be resolved without the lock.
    pub(crate) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Whether pairs are those of a label set.
    pub(crate) fn is(&self, pairs: &[PairId], labels: &Labels) -> bool {
        self.dictionary.texts(pairs).eq(labels.iter())
    }

    /// All label names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|n| &**n)
    }

    /// All values of one label, sorted.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flat_map(|values| values.keys().map(|v| &**v))
    }

    /// How label sets compare in block order, as numbers.
    pub(crate) fn ranks(&self) -> Ranks {
        let mut ranks = vec![(0, 0); self.dictionary.len()];
        let pairs =
            self.names.iter().flat_map(|(name, values)| values.values().map(move |v| (name, v)));
        for (rank, (name, id)) in (1u32..).zip(pairs) {
            let place = SORT_LABELS.iter().position(|s| *s == &**name);
            if let Some(slot) = ranks.get_mut(*id as usize) {
                *slot = (place.map_or(0, |p| p as u8 + 1), rank);
            }
        }
        Ranks(ranks)
    }

    /// References of the series that all matchers take, sorted. `pairs` tells
    /// the pairs of a reference.
    pub(crate) fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        pairs: impl Fn(u64) -> Option<&'a [PairId]>,
    ) -> Vec<u64> {
        // Matchers that need the label narrow by postings, fewest first.
        let narrowing = matchers.iter().filter(|m| !m.matches_empty());
        let mut found: Vec<Found<'_>> = narrowing.map(|m| self.matching(m)).collect();
        found.sort_by_key(|f| f.size);
        let mut narrow = found.into_iter();
        let mut refs = match narrow.next() {
            Some(first) => first.union(),
            None => self.all.iter().collect(),
        };
        for next in narrow {
            if refs.is_empty() {
                return refs;
            }
            if next.size / LOOK_AT_PAIRS > refs.len() {
                let ids: HashSet<PairId> = next.ids.iter().copied().collect();
                refs.retain(|r| pairs(*r).is_some_and(|p| p.iter().any(|id| ids.contains(id))));
            } else {
                next.intersect(&mut refs);
            }
        }
        // The others are asked about each series that is left.
        for matcher in matchers.iter().filter(|m| m.matches_empty()) {
            if !self.names.contains_key(matcher.name()) {
                continue;
            }
            let mut verdicts: HashMap<PairId, bool> = HashMap::new();
            let takes = |id: &PairId| {
                let Some(pair) = self.dictionary.get(*id) else { return true };
                *pair.name != *matcher.name() || matcher.matches(&pair.value)
            };
            refs.retain(|r| {
                let Some(pairs) = pairs(*r) else { return false };
                pairs.iter().all(|id| *verdicts.entry(*id).or_insert_with(|| takes(id)))
            });
        }
        refs
    }

    /// The values that a matcher takes.
    fn matching(&self, matcher: &Matcher) -> Found<'_> {
        let Some(values) = self.names.get(matcher.name()) else { return Found::default() };
        let ids: Vec<PairId> = match matcher.set_matches() {
            Some(set) => {
                let mut set: Vec<&str> = set.iter().map(String::as_str).collect();
                set.sort_unstable();
                set.dedup();
                set.into_iter().filter_map(|v| values.get(v).copied()).collect()
            }
            None => {
                let taken = values.iter().filter(|(v, _)| matcher.matches(v));
                taken.map(|(_, id)| *id).collect()
            }
        };
        let lists: Vec<&Postings> =
            ids.iter().filter_map(|id| self.postings.get(*id as usize)).collect();
        let size = lists.iter().map(|l| l.len()).sum();
        Found { ids, lists, size }
    }

    /// Bytes of memory behind the index, references included.
    pub(crate) fn memory(&self) -> usize {
        let lists: usize = self.postings.iter().map(|p| p.memory() - size_of::<Postings>()).sum();
        self.texts + lists + self.all.memory()
    }
}

/// A text with its counts and its place in a map.
fn text_memory(text: &str) -> usize {
    text.len() + 16 + 24
}

/// Numbers by which the pairs of label sets compare.
pub(crate) struct Ranks(Vec<(u8, u32)>);

impl Ranks {
    /// What sorts a series in block order: the ranks of the labels that come
    /// first (0 = absent), then of all.
    pub(crate) fn key(&self, pairs: &[PairId]) -> Box<[u32]> {
        let first = SORT_LABELS.len();
        let mut key = vec![0; first + pairs.len()].into_boxed_slice();
        for (at, id) in pairs.iter().enumerate() {
            let (place, rank) = self.0.get(*id as usize).copied().unwrap_or_default();
            key[first + at] = rank;
            if let Some(place) = usize::from(place).checked_sub(1) {
                key[place] = rank;
            }
        }
        key
    }
}

/// Disjoint postings of one matcher.
#[derive(Default)]
struct Found<'a> {
    ids: Vec<PairId>,
    lists: Vec<&'a Postings>,
    size: usize,
}

impl Found<'_> {
    fn union(&self) -> Vec<u64> {
        let mut refs = Vec::with_capacity(self.size);
        refs.extend(self.lists.iter().flat_map(|l| l.iter()));
        if self.lists.len() > 1 {
            refs.sort_unstable();
        }
        refs
    }

    /// Keeps of `refs`, which is sorted, what is in one of the lists too.
    fn intersect(&self, refs: &mut Vec<u64>) {
        let keep =
            |refs: &mut Vec<u64>, mut other: std::iter::Peekable<&mut dyn Iterator<Item = u64>>| {
                refs.retain(|r| {
                    while other.next_if(|o| o < r).is_some() {}
                    other.peek() == Some(r)
                });
            };
        match self.lists.as_slice() {
            [one] => keep(refs, (&mut one.iter() as &mut dyn Iterator<Item = u64>).peekable()),
            _ => keep(
                refs,
                (&mut self.union().into_iter() as &mut dyn Iterator<Item = u64>).peekable(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use varve_block::block_order;
    use varve_model::MatchOp;

    fn of(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("labels")
    }

    #[test]
    fn removed_series_leave_no_names_behind() {
        let mut index = Index::default();
        let (a, b) = (of(&[("x", "1"), ("y", "1")]), of(&[("x", "2")]));
        let empty = index.memory();
        let pairs = index.add(1, &a);
        let before = index.add(2, &b);
        index.remove(&[(1, pairs)]);
        assert_eq!(index.names().collect::<Vec<_>>(), ["x"]);
        assert_eq!(index.values("x").collect::<Vec<_>>(), ["2"]);
        assert_eq!(index.select(&[], |_| None), [2]);
        // Their numbers are given out anew.
        let pairs = index.add(3, &a);
        assert!(pairs.iter().all(|id| *id < 3), "{pairs:?}");
        assert_eq!(index.dictionary().labels(&pairs), a);
        assert!(index.is(&before, &b) && !index.is(&before, &a));
        index.remove(&[(2, before), (3, pairs)]);
        assert_eq!((index.texts, index.memory() - empty), (0, 0));
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

    fn filled(series: &[Labels]) -> (Index, Vec<Pairs>) {
        let mut index = Index::default();
        let pairs = series.iter().zip(0u64..).map(|(l, i)| index.add(i, l)).collect();
        (index, pairs)
    }

    proptest! {
        #[test]
        fn equals_asking_every_series(
            series in proptest::collection::vec(proptest::collection::btree_map("[abc]", "[0123]", 0..4), 0..60),
            matchers in matchers(),
        ) {
            let series: Vec<Labels> =
                series.iter().map(|p| Labels::from_pairs(p.iter()).expect("labels")).collect();
            let (index, pairs) = filled(&series);
            let expected: Vec<u64> = (0..series.len())
                .filter(|i| matchers.iter().all(|m| m.matches(series[*i].get(m.name()))))
                .map(|i| i as u64)
                .collect();
            let of = |r: u64| pairs.get(r as usize).map(|p| &**p);
            prop_assert_eq!(index.select(&matchers, of), expected);
        }

        #[test]
        fn ranks_sort_like_labels(
            series in proptest::collection::vec(
                proptest::collection::btree_map("(__name__|a|cluster|job|z|namespace)", "[0123]", 0..5), 0..20),
        ) {
            let series: Vec<Labels> =
                series.iter().map(|p| Labels::from_pairs(p.iter()).expect("labels")).collect();
            let (index, pairs) = filled(&series);
            let ranks = index.ranks();
            for (a, one) in series.iter().zip(&pairs) {
                for (b, other) in series.iter().zip(&pairs) {
                    let order = ranks.key(one).cmp(&ranks.key(other));
                    prop_assert_eq!(order, block_order(a, b), "{} {}", a, b);
                }
            }
        }
    }
}
