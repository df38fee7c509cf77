//! Which of the blocks in a bucket a catalog that was lost had listed, as far
//! as the blocks and their marks say.
//!
//! A block that an ingester shipped counts as committed: what it holds was
//! acknowledged to its senders. One that was made from others was committed
//! when it has a mark, or when one that was is made from it; else its sources
//! are there still, because nothing is collected before the marks are written
//! (C-10), and speak for themselves.

use std::collections::{BTreeSet, HashMap, HashSet};

use ulid::Ulid;
use varve_block::BlockEntry;
use varve_model::window_end;

use super::CutKey;
use super::marks::{Fate, Mark};

/// A whole block and the marks beside it.
pub(crate) struct Found {
    pub(crate) entry: BlockEntry,
    pub(crate) marks: Vec<Mark>,
}

/// Why a block is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Replaced,
    Removed,
    Uncommitted,
}

/// What a rebuilt catalog has.
#[derive(Default)]
pub(crate) struct Chosen {
    pub(crate) listed: Vec<BlockEntry>,
    pub(crate) gone: Vec<(Ulid, Gone)>,
    /// The cuts of all shipped blocks: also those of blocks that are not
    /// listed any more stay committed.
    pub(crate) cuts: BTreeSet<CutKey>,
}

impl Found {
    /// The mark that holds.
    fn mark(&self) -> Option<Mark> {
        self.marks.iter().max_by_key(|m| m.version).copied()
    }

    fn is(&self, fate: Fate) -> bool {
        self.mark().is_some_and(|m| m.fate == fate)
    }

    /// What all blocks have in common that were built from the same cut; none
    /// for a block that does not come from a log.
    fn cut_content(&self) -> Option<CutContent> {
        let e = &self.entry;
        (e.level == 0 && e.index > 0).then(|| CutContent {
            cut: cut_of(e),
            log: (e.term, e.index),
            counts: (e.series, e.samples),
            times: (e.min_time, e.max_time),
        })
    }
}

#[derive(PartialEq, Eq, Hash)]
struct CutContent {
    cut: CutKey,
    log: (u64, u64),
    counts: (u64, u64),
    times: (i64, i64),
}

fn cut_of(entry: &BlockEntry) -> CutKey {
    let window_end = window_end(entry.range.end);
    CutKey { partition: entry.partition, window_end, cut: entry.cut }
}

/// Chooses among blocks that are in order of their ids.
pub(crate) fn choose(found: Vec<Found>) -> Chosen {
    let replaced = replaced(&found);
    let mut chosen = Chosen::default();
    // A cut whose block was replaced or removed has no other one that counts.
    let mut taken: HashSet<CutContent> = HashSet::new();
    let mut fates: Vec<Option<Gone>> = Vec::with_capacity(found.len());
    for block in &found {
        let fate = if replaced.contains(&block.entry.id) {
            Some(Gone::Replaced)
        } else if block.is(Fate::Removed) {
            Some(Gone::Removed)
        } else if block.entry.level > 0 && block.mark().is_none() {
            Some(Gone::Uncommitted)
        } else {
            None
        };
        if matches!(fate, Some(Gone::Replaced | Gone::Removed)) || block.is(Fate::Listed) {
            taken.extend(block.cut_content());
        }
        fates.push(fate);
    }
    for (block, fate) in found.into_iter().zip(fates) {
        if block.entry.level == 0 {
            chosen.cuts.insert(cut_of(&block.entry));
        }
        let twin = fate.is_none()
            && !block.is(Fate::Listed)
            && block.cut_content().is_some_and(|content| !taken.insert(content));
        match fate.or(twin.then_some(Gone::Uncommitted)) {
            Some(why) => chosen.gone.push((block.entry.id, why)),
            None => chosen.listed.push(block.entry),
        }
    }
    chosen
}

/// The blocks that committed ones were made from.
fn replaced(found: &[Found]) -> HashSet<Ulid> {
    let by_id: HashMap<Ulid, &Found> = found.iter().map(|b| (b.entry.id, b)).collect();
    let mut todo: Vec<&Found> = found.iter().filter(|b| !b.marks.is_empty()).collect();
    let mut replaced = HashSet::new();
    while let Some(block) = todo.pop() {
        for source in &block.entry.sources {
            if replaced.insert(*source) {
                todo.extend(by_id.get(source));
            }
        }
    }
    replaced
}
