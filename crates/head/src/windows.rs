//! The cuts of each window, and which cut a chunk belongs to.
//!
//! A cut holds what was applied before it and is in no earlier cut of the
//! window. Since buffers are closed at a cut, the index of a chunk's last
//! entry decides for all of it; nothing is written to chunks.

use std::collections::BTreeMap;

use varve_model::TenantId;

use crate::Cut;

/// One cut and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutState {
    pub(crate) number: u64,
    pub(crate) term: u64,
    pub(crate) index: u64,
    /// When it was proposed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    pub(crate) shipped: Option<ShippedState>,
    /// Whether its samples have left the head.
    pub(crate) released: bool,
}

/// That a cut's blocks are in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShippedState {
    /// When it was proposed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// By tenant, the catalog version that names its block.
    pub(crate) versions: BTreeMap<TenantId, u64>,
}

/// What is known of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Samples and exemplars that are in no cut.
    pub(crate) uncut: u64,
    /// In order of index.
    pub(crate) cuts: Vec<CutState>,
}

/// All windows of a partition, by their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) by_end: BTreeMap<i64, Window>,
    /// The highest number that a cut ever had.
    pub(crate) last_number: u64,
}

impl Windows {
    /// The first cut of a window behind a log index: that of a chunk, by its
    /// window and last entry. `None` while it is in none.
    pub(crate) fn cut_at(&self, end: i64, index: u64) -> Option<&CutState> {
        let cuts = &self.by_end.get(&end)?.cuts;
        cuts.get(cuts.partition_point(|c| c.index <= index))
    }

    /// How readers of a tenant order chunks, and which of them they need not be
    /// given who read the blocks of a catalog version, too (0 = none). To be
    /// used when the lock is gone.
    pub(crate) fn orders(&self, tenant: &TenantId, version: u64) -> Orders {
        let order = |c: &CutState| Order {
            term: c.term,
            index: c.index,
            in_blocks: c.is_in(tenant, version),
        };
        let cuts = |w: &Window| w.cuts.iter().map(order).collect();
        let windows = self.by_end.iter().filter(|(_, w)| !w.cuts.is_empty());
        Orders(windows.map(|(end, w)| (*end, cuts(w))).collect())
    }

    /// Notes samples that are in no cut.
    pub(crate) fn add_uncut(&mut self, end: i64, count: u64) {
        self.by_end.entry(end).or_default().uncut += count;
    }

    /// Takes back what [`Windows::add_uncut`] noted.
    pub(crate) fn take_uncut(&mut self, end: i64, count: u64) {
        if let Some(window) = self.by_end.get_mut(&end) {
            window.uncut = window.uncut.saturating_sub(count);
        }
    }

    pub(crate) fn find(&self, end: i64, number: u64) -> Option<&CutState> {
        self.by_end.get(&end)?.cuts.iter().find(|c| c.number == number)
    }

    pub(crate) fn find_mut(&mut self, end: i64, number: u64) -> Option<&mut CutState> {
        self.by_end.get_mut(&end)?.cuts.iter_mut().find(|c| c.number == number)
    }

    /// Cuts that have not shipped, oldest window first.
    pub(crate) fn unfinished(&self) -> Vec<Cut> {
        let cuts = self.by_end.iter().flat_map(|(end, w)| w.cuts.iter().map(move |c| (*end, c)));
        cuts.filter(|(_, c)| c.shipped.is_none()).map(|(end, c)| c.cut(end)).collect()
    }

    /// Cuts whose hold time is over at `now`. Of one window they leave in the
    /// order in which they were cut.
    pub(crate) fn releasable(&self, now: i64, hold_ms: i64) -> Vec<(i64, u64)> {
        let over = |c: &&CutState| {
            let held = |s: &ShippedState| now >= s.at_ms.saturating_add(hold_ms);
            c.released || c.shipped.as_ref().is_some_and(held)
        };
        let window = |(end, w): (&i64, &Window)| {
            let due = w.cuts.iter().take_while(over).filter(|c| !c.released);
            due.map(|c| (*end, c.number)).collect::<Vec<_>>()
        };
        self.by_end.iter().flat_map(window).collect()
    }

    /// Forgets windows of which nothing is left: all cuts released at least
    /// `age_ms` ago, and no file (`in_files`) that still holds samples of them.
    pub(crate) fn prune(&mut self, now: i64, age_ms: i64, in_files: impl Fn(i64) -> bool) {
        self.by_end.retain(|end, w| {
            let old = |c: &CutState| c.released && c.at_ms.saturating_add(age_ms) <= now;
            w.uncut > 0 || !w.cuts.iter().all(old) || in_files(*end)
        });
    }
}

/// A cut as readers see it.
#[derive(Debug)]
struct Order {
    term: u64,
    index: u64,
    /// The reader finds its samples in blocks.
    in_blocks: bool,
}

/// What readers have to know of all cuts, by window.
#[derive(Debug)]
pub(crate) struct Orders(BTreeMap<i64, Vec<Order>>);

impl Orders {
    /// Term and index of a chunk's cut, by its window and last entry: the
    /// highest while it is in none, `None` when the reader finds it in blocks.
    pub(crate) fn of(&self, window: i64, index: u64) -> Option<(u64, u64)> {
        let cuts = self.0.get(&window).map_or(&[][..], Vec::as_slice);
        let at = cuts.partition_point(|cut| cut.index <= index);
        match cuts.get(at) {
            Some(cut) => (!cut.in_blocks).then_some((cut.term, cut.index)),
            None => Some((u64::MAX, u64::MAX)),
        }
    }
}

impl CutState {
    /// Whether its samples of a tenant are in blocks that a version names, or
    /// that were made from them.
    fn is_in(&self, tenant: &TenantId, version: u64) -> bool {
        let since = self.shipped.as_ref().and_then(|s| s.versions.get(tenant));
        since.is_some_and(|since| *since <= version)
    }

    pub(crate) fn cut(&self, window_end: i64) -> Cut {
        Cut { window_end, number: self.number, term: self.term, index: self.index }
    }
}
