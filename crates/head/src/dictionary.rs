//! The label pairs of one tenant, each kept once and named by a number.
//!
//! A series then takes four bytes a label, whatever its labels' lengths.
//! Pages are shared with readers, which resolve the pairs of a snapshot
//! without a lock; the writer copies a page that a reader still holds.

use std::sync::Arc;

use varve_model::Labels;

/// The number of a pair; given out anew when its last series is gone.
pub(crate) type PairId = u32;

/// The labels of one series: its pairs in order of name.
pub(crate) type Pairs = Arc<[PairId]>;

/// Pairs in one page.
const PAGE: usize = 1024;

/// One name and value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) name: Arc<str>,
    pub(crate) value: Arc<str>,
}

/// The pairs by their numbers; quick to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    pages: Vec<Arc<Vec<Option<Pair>>>>,
}

impl Dictionary {
    /// Numbers that were given out, free ones included.
    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pages.get(id as usize / PAGE)?.get(id as usize % PAGE)?.as_ref()
    }

    /// Appends a pair; its number is the length before.
    pub(crate) fn push(&mut self, pair: Pair) {
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Arc::default());
        }
        if let Some(page) = self.pages.last_mut() {
            Arc::make_mut(page).push(Some(pair));
        }
    }

    /// Replaces what a number names.
    pub(crate) fn set(&mut self, id: PairId, pair: Option<Pair>) {
        let page = self.pages.get_mut(id as usize / PAGE);
        if let Some(slot) = page.and_then(|p| Arc::make_mut(p).get_mut(id as usize % PAGE)) {
            *slot = pair;
        }
    }

    /// Names and values of some pairs.
    pub(crate) fn texts<'a>(
        &'a self,
        pairs: &'a [PairId],
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        pairs.iter().filter_map(|id| self.get(*id)).map(|p| (&*p.name, &*p.value))
    }

    /// The labels that the pairs of a series make.
    pub(crate) fn labels(&self, pairs: &[PairId]) -> Labels {
        Labels::from_sorted(self.texts(pairs))
    }

    /// The value of a label among the pairs of a series; empty when absent.
    pub(crate) fn value(&self, pairs: &[PairId], name: &str) -> &str {
        let found = pairs.iter().filter_map(|id| self.get(*id)).find(|pair| &*pair.name == name);
        found.map_or("", |pair| &*pair.value)
    }
}
