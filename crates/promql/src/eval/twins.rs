//! Parts of a query that say the same are evaluated once: the first one keeps
//! what came of it, the others hand that on.
//!
//! Rows are not all that comes of a part. What it says and what it counts is
//! kept, too, and repeated by the others, each at its own place. Rows that take
//! more than [`MAX_KEPT`] are not kept; every twin is then evaluated.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::context::{Context, Hold};
use super::distinct;
use super::row::{Batch, Row};
use super::stream::BatchStream;
use super::tally::Counts;
use crate::annotations::{Annotation, Annotations};
use crate::engine::EngineError;
use crate::plan::{Node, ScopeId, TwinId};

/// Bytes of rows that are kept in one query.
const MAX_KEPT: usize = 16 << 20;

/// What is kept of all kinds of twins of a query.
#[derive(Debug)]
pub(crate) struct Twins {
    slots: Vec<Mutex<Slot>>,
    /// Bytes that may still be kept.
    room: AtomicUsize,
}

/// The twins of one kind.
#[derive(Debug)]
struct Slot {
    /// How many of them are still to be evaluated.
    left: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// None of them was evaluated.
    New,
    /// One of them is being evaluated, or left too much.
    Nothing,
    /// One of them was evaluated.
    Kept(Kept),
}

/// What came of a part.
#[derive(Debug)]
struct Kept {
    /// Where the part begins.
    at: u32,
    batches: Vec<Vec<Row>>,
    said: Said,
    _hold: Option<Hold>,
}

/// What a part says and counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    annotations: Annotations,
    counts: Vec<(ScopeId, Counts)>,
}

impl Said {
    pub(crate) fn annotate(&mut self, annotation: Annotation) {
        self.annotations.add(annotation);
    }

    pub(crate) fn count(&mut self, scope: ScopeId, counts: &Counts) {
        match self.counts.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, sum)) => sum.add(counts),
            None => self.counts.push((scope, counts.clone())),
        }
    }

    /// Repeats it for the same part so many bytes further on.
    fn again(&self, ctx: &Context<'_>, by: i64) -> Result<(), EngineError> {
        self.annotations.iter().for_each(|said| ctx.annotate(said.clone().moved(by)));
        self.counts.iter().try_for_each(|(scope, counts)| ctx.count(*scope, counts))
    }
}

impl Twins {
    /// Kinds with so many twins each.
    pub(crate) fn new(sizes: &[usize]) -> Self {
        let new = |left: &usize| Mutex::new(Slot { left: *left, state: State::New });
        Self { slots: sizes.iter().map(new).collect(), room: MAX_KEPT.into() }
    }

    fn slot(&self, id: TwinId) -> MutexGuard<'_, Slot> {
        self.slots[id].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Evaluates one of several twins, when it is asked for its rows; in `within`
/// when it is the first.
pub(super) fn rows<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    twin: (TwinId, &'a Context<'a>),
) -> BatchStream<'a> {
    stream::once(async move { begin(ctx, node, twin) }).try_flatten().boxed()
}

fn begin<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    (id, within): (TwinId, &'a Context<'a>),
) -> Result<BatchStream<'a>, EngineError> {
    let mut slot = ctx.twins.slot(id);
    slot.left = slot.left.saturating_sub(1);
    let Slot { left, state } = &mut *slot;
    let last = *left == 0;
    match state {
        State::Nothing => Ok(distinct(ctx, node)),
        State::New => {
            *state = State::Nothing;
            let keeper = Keeper { within, node, id, batches: Vec::new(), hold: None };
            Ok(keeper.watch(distinct(within, node)))
        }
        State::Kept(kept) => {
            kept.said.again(ctx, i64::from(node.span.start) - i64::from(kept.at))?;
            let rows = if last { std::mem::take(&mut kept.batches) } else { kept.batches.clone() };
            let again = rows.into_iter().map(|rows| ctx.batch(rows));
            let again: Vec<Batch> = again.collect::<Result<_, _>>()?;
            if last {
                *state = State::Nothing;
            }
            Ok(stream::iter(again.into_iter().map(Ok)).boxed())
        }
    }
}

/// Keeps what comes of the first twin.
struct Keeper<'a> {
    within: &'a Context<'a>,
    node: &'a Node,
    id: TwinId,
    batches: Vec<Vec<Row>>,
    hold: Option<Hold>,
}

impl<'a> Keeper<'a> {
    fn watch(self, batches: BatchStream<'a>) -> BatchStream<'a> {
        let watched = stream::unfold((batches, Some(self)), |(mut batches, keeper)| async {
            let Some(batch) = batches.next().await else {
                keeper.into_iter().for_each(Self::finish);
                return None;
            };
            let kept = batch.as_ref().ok();
            let keeper = keeper.zip(kept).and_then(|(keeper, batch)| keeper.with(batch));
            Some((batch, (batches, keeper)))
        });
        watched.boxed()
    }

    /// With a further batch; `None` when that is too much.
    fn with(mut self, batch: &Batch) -> Option<Self> {
        let bytes: usize = batch.rows.iter().map(Row::memory).sum();
        let room = &self.within.twins.room;
        room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes))
            .ok()?;
        let mut hold = self.within.hold(bytes, 0).ok()?;
        hold.assign(self.node.part);
        match &mut self.hold {
            Some(all) => all.merge(hold),
            None => self.hold = Some(hold),
        }
        self.batches.push(batch.rows.clone());
        Some(self)
    }

    fn finish(self) {
        let mut slot = self.within.twins.slot(self.id);
        if slot.left > 0 {
            let (at, said) = (self.node.span.start, self.within.take_said());
            slot.state = State::Kept(Kept { at, batches: self.batches, said, _hold: self.hold });
        }
    }
}
