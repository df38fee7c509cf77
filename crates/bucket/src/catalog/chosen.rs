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

    fn cut(&self) -> Option<CutKey> {
        cut_of(&self.entry)
    }
}

/// The cut that a block was shipped for; none for one that was made from
/// others, or does not come from a log.
pub(crate) fn cut_of(entry: &BlockEntry) -> Option<CutKey> {
    let window_end = window_end(entry.range.end);
    let cut = CutKey { partition: entry.partition, window_end, cut: entry.cut };
    (entry.level == 0 && entry.index > 0).then_some(cut)
}

/// Chooses among blocks that are in order of their ids. `gone` = the cuts
/// whose blocks were collected.
pub(crate) fn choose(found: Vec<Found>, gone: BTreeSet<CutKey>) -> Chosen {
    let replaced = replaced(&found);
    // A cut whose block was replaced or removed has no other one that counts.
    let mut taken: HashSet<CutKey> = gone.iter().copied().collect();
    let mut chosen = Chosen { cuts: gone, ..Chosen::default() };
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
            taken.extend(block.cut());
        }
        fates.push(fate);
    }
    for (block, fate) in found.into_iter().zip(fates) {
        chosen.cuts.extend(block.cut());
        let twin = fate.is_none()
            && !block.is(Fate::Listed)
            && block.cut().is_some_and(|cut| !taken.insert(cut));
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
