//! The series of one tenant by reference, in pages of 64 that take just the
//! room of the series that are there.
//!
//! References are given out in rising order and series that are created
//! together go together, so that pages are full or gone. Finding a page is
//! one hash of a small map.

use hashbrown::HashMap;

use crate::series::Series;

/// Series by reference.
#[derive(Debug, Default)]
pub(crate) struct SeriesMap {
    pages: HashMap<u64, Page>,
    len: usize,
}

/// The series of 64 references in a row.
#[derive(Debug, Default)]
struct Page {
    /// Which references are there.
    there: u64,
    /// Theirs, in order.
    series: Vec<Series>,
}

impl Page {
    /// Where a reference is among the series, or would be.
    fn at(&self, reference: u64) -> Result<usize, usize> {
        let bit = 1u64 << (reference % 64);
        let at = (self.there & (bit - 1)).count_ones() as usize;
        if self.there & bit != 0 { Ok(at) } else { Err(at) }
    }
}

impl SeriesMap {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains(&self, reference: u64) -> bool {
        self.get(reference).is_some()
    }

    pub(crate) fn get(&self, reference: u64) -> Option<&Series> {
        let page = self.pages.get(&(reference / 64))?;
        page.series.get(page.at(reference).ok()?)
    }

    pub(crate) fn get_mut(&mut self, reference: u64) -> Option<&mut Series> {
        let page = self.pages.get_mut(&(reference / 64))?;
        let at = page.at(reference).ok()?;
        page.series.get_mut(at)
    }

    /// Adds a series, or replaces the one of the same reference.
    pub(crate) fn insert(&mut self, series: Series) {
        let reference = series.reference;
        let page = self.pages.entry(reference / 64).or_default();
        match page.at(reference) {
            Ok(at) => page.series[at] = series,
            Err(at) => {
                page.there |= 1 << (reference % 64);
                if page.series.len() == page.series.capacity() {
                    page.series.reserve_exact(4.max(page.series.len() / 2).min(64));
                }
                page.series.insert(at, series);
                self.len += 1;
            }
        }
    }

    pub(crate) fn remove(&mut self, reference: u64) -> Option<Series> {
        let number = reference / 64;
        let page = self.pages.get_mut(&number)?;
        let series = page.series.remove(page.at(reference).ok()?);
        page.there &= !(1 << (reference % 64));
        self.len -= 1;
        if page.series.is_empty() {
            self.pages.remove(&number);
        } else if page.series.len() * 2 < page.series.capacity() {
            page.series.shrink_to_fit();
        }
        Some(series)
    }

    /// All series, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Series> {
        self.pages.values().flat_map(|p| &p.series)
    }

    /// All series, in no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.pages.values_mut().flat_map(|p| &mut p.series)
    }

    /// Numbers of the pages that there are, sorted.
    pub(crate) fn pages(&self) -> Vec<u64> {
        let mut pages: Vec<u64> = self.pages.keys().copied().collect();
        pages.sort_unstable();
        pages
    }

    /// The series of some pages, in the order of their references when the
    /// pages are sorted.
    pub(crate) fn in_pages(&self, pages: &[u64]) -> impl Iterator<Item = &Series> {
        pages.iter().filter_map(|p| self.pages.get(p)).flat_map(|p| &p.series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_map(steps in proptest::collection::vec((0u64..300, any::<bool>()), 0..300)) {
            let (mut map, mut model) = (SeriesMap::default(), BTreeSet::new());
            for (reference, add) in steps {
                if add {
                    map.insert(Series::new(reference, 0, [].into()));
                    model.insert(reference);
                } else {
                    prop_assert_eq!(map.remove(reference).is_some(), model.remove(&reference));
                }
                prop_assert_eq!(map.len(), model.len());
            }
            let references = |s: &Series| s.reference;
            let pages = map.pages();
            let all: Vec<u64> = map.in_pages(&pages).map(references).collect();
            prop_assert_eq!(&all, &model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(map.values().map(references).collect::<BTreeSet<_>>(), model.clone());
            for reference in 0..300 {
                prop_assert_eq!(map.contains(reference), model.contains(&reference));
                prop_assert_eq!(map.get_mut(reference).map(|s| s.reference), map.get(reference).map(references));
            }
        }
    }
}
