//! Making the next version.
//!
//! 1. apply the changes to the newest version known, write the leaves
//! 2. create manifest v+1 if absent: whoever does has committed (C-1)
//! 3. read the floor again: floor ≥ v+1 means that this number had been used
//!    and collected, so the commit is void and is done again (C-3)
//! 4. look at the clock: had it taken so long that the new files may have been
//!    collected as orphans, the leaves are put again and the blocks taken back
//! 5. write the marks of blocks that came or went other than by shipping
//! 6. write the hint
//!
//! Only after 5 is a commit acknowledged. How committers make way for each
//! other is in `race.rs`.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use varve_block::BlockEntry;
use varve_model::{TenantId, TimeRange};
use varve_runtime::failpoint;

use super::apply::{Applied, Draft, Written};
use super::error::{CatalogError, Result};
use super::floor::Floor;
use super::marks;
use super::queue::Pending;
use super::race::Race;
use super::snapshot::Snapshot;
use super::tenant::{Inner, Tenant};
use super::{Cause, Change, Committed, Removed};
use crate::bucket::PutOutcome;
use crate::paths;

/// Where others commit too, only every so many versions get a hint.
const HINT_EVERY: u64 = 8;

/// What became of an attempt to write a manifest.
enum Attempt {
    /// It is the newest version; the floor after it was made.
    Won(Arc<Snapshot>, Floor),
    /// Somebody else wrote that version.
    Lost,
    /// It won a number below the floor.
    Void,
}

impl Inner {
    /// Commits a batch and answers everybody in it.
    pub(crate) async fn commit_batch(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        mut batch: Vec<Pending>,
    ) {
        let answers = match self.commit_changes(tenant, state, &mut batch, true).await {
            Ok(answers) => answers,
            Err(error) => {
                // Whatever is remembered may be wrong now.
                state.known.lock().distrust();
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        };
        for (pending, answer) in batch.into_iter().zip(answers) {
            // A caller that went away has no use for the answer.
            let _ = pending.reply.send(answer);
        }
    }

    /// Makes the changes of a batch one version, and says what became of each.
    /// One that `grows` takes in what arrives while it cannot be made.
    async fn commit_changes(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        batch: &mut Vec<Pending>,
        grows: bool,
    ) -> Result<Vec<Result<Committed>>> {
        let mut race = Race::new(self.clock.now_ms());
        let known = state.known.lock().newest.clone();
        let (mut base, mut strict) = match known {
            Some((newest, _)) => (newest, false),
            None => (self.refresh(tenant, state, true).await?, true),
        };
        loop {
            if grows {
                state.queue.lock().top_up(batch);
            }
            let attempt_ms = self.clock.now_ms();
            let attempt = Instant::now();
            let (draft, applied) = self.apply_all(&base, batch).await;
            let is_now = |a: &Result<Applied>| matches!(a, Ok(Applied::Now));
            if !strict && !applied.iter().all(is_now) {
                // A refusal must not rest on a version that is only remembered.
                base = self.refresh(tenant, state, true).await?;
                strict = true;
                continue;
            }
            if !applied.iter().any(is_now) {
                let mut answers = answers(applied, base.version());
                self.mark_all(tenant, batch, &mut answers).await;
                return Ok(answers);
            }
            let written = self.write_leaves(draft, self.token()).await?;
            let before = base.clone();
            match self.write_manifest(tenant, state, &written, base).await? {
                Attempt::Won(snapshot, floor) => {
                    let version = snapshot.version();
                    let mut answers = answers(applied, version);
                    let late_ms = self.clock.now_ms().saturating_sub(attempt_ms);
                    if late_ms >= self.config.orphan_ms / 4 {
                        self.put_leaves(tenant, &written).await?;
                    }
                    for (pending, answer) in batch.iter().zip(&mut answers) {
                        let change = &pending.change;
                        if let Ok(Committed::Now { .. }) = answer
                            && let Err(error) = self.undo_late(tenant, state, change, &before).await
                        {
                            *answer = Err(error);
                        }
                    }
                    self.mark_all(tenant, batch, &mut answers).await;
                    if race.is_calm() || version.is_multiple_of(HINT_EVERY) {
                        self.write_hint(tenant, version, floor).await;
                    }
                    return Ok(answers);
                }
                Attempt::Lost => {
                    self.bucket.metrics().lost_races.inc();
                    race.lose(attempt.elapsed());
                    base = self.make_way(tenant, state, batch, &mut race).await?;
                    strict = false;
                }
                Attempt::Void => {
                    self.bucket.metrics().void_commits.inc();
                    state.known.lock().distrust();
                    base = self.refresh(tenant, state, true).await?;
                    strict = true;
                }
            }
        }
    }

    /// The version that a batch makes of `base`, in memory.
    pub(crate) async fn apply_all(
        &self,
        base: &Arc<Snapshot>,
        batch: &[Pending],
    ) -> (Draft, Vec<Result<Applied>>) {
        let mut draft = Draft::new(base.clone());
        let mut applied = Vec::with_capacity(batch.len());
        for pending in batch {
            applied.push(self.apply(&mut draft, &pending.change).await);
        }
        (draft, applied)
    }

    /// Writes the marks of every change that is in the catalog. Without them
    /// its caller is to repeat it.
    async fn mark_all(
        &self,
        tenant: &TenantId,
        batch: &[Pending],
        answers: &mut [Result<Committed>],
    ) {
        for (pending, answer) in batch.iter().zip(answers) {
            let Ok(committed) = answer else { continue };
            let marks = marks::of_change(&pending.change, committed.version());
            if let Err(error) = self.mark(tenant, marks).await {
                *answer = Err(error);
            }
        }
    }

    async fn apply(&self, draft: &mut Draft, change: &Change) -> Result<Applied> {
        let admit = |entry: &BlockEntry| match change.cause {
            Cause::Undo(_) => Ok(()),
            _ => self.check_age(entry.id, self.config.orphan_ms / 2),
        };
        draft.apply(change, admit).await
    }

    async fn write_manifest(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        written: &Written,
        base: Arc<Snapshot>,
    ) -> Result<Attempt> {
        let version = base.version() + 1;
        let path = paths::manifest(tenant, version);
        let bytes = super::format::encode(&written.manifest)?;
        failpoint!("catalog.before-manifest", |_| Err(CatalogError::Failpoint("before-manifest")));
        let asked_ms = self.clock.now_ms();
        if self.bucket.put_if_absent(&path, bytes).await? == PutOutcome::Exists {
            return Ok(Attempt::Lost);
        }
        failpoint!("catalog.after-manifest", |_| Err(CatalogError::Failpoint("after-manifest")));
        let floor = self.read_floor(tenant, state).await?;
        failpoint!("catalog.after-floor-check", |_| Err(CatalogError::Failpoint(
            "after-floor-check"
        )));
        if floor.version >= version {
            // Nobody may take it for a version. Collection would delete it too.
            if let Err(error) = self.bucket.delete(&path).await {
                tracing::warn!(%error, %tenant, version, "delete void manifest");
            }
            return Ok(Attempt::Void);
        }
        let snapshot = self.snapshot(tenant, written.manifest.clone());
        state.known.lock().remember(snapshot.clone(), asked_ms);
        Ok(Attempt::Won(snapshot, floor))
    }
}

impl Inner {
    /// Takes a committed change back when its blocks were so old by then that
    /// a collection may have been deleting them (C-6).
    async fn undo_late(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        change: &Change,
        before: &Snapshot,
    ) -> Result<()> {
        if matches!(change.cause, Cause::Undo(_)) {
            return Ok(());
        }
        let limit_ms = self.config.orphan_ms / 4 * 3;
        let late = change.add.iter().find_map(|b| self.check_age(b.id, limit_ms).err());
        let Some(late) = late else { return Ok(()) };
        let mut add = Vec::new();
        if !change.remove.is_empty() {
            for removed in &change.remove {
                let all = before.blocks(range_at(removed.range_end)).await?;
                add.extend(all.into_iter().filter(|b| b.id == removed.id));
            }
            // It has slept again since, and what it replaced may be gone. The
            // new blocks are named by a version, so what is there of them
            // stays.
            if self.read_floor(tenant, state).await?.version >= before.version() {
                if self.are_whole(tenant, &change.add).await? {
                    return Ok(());
                }
                let mut whole = Vec::new();
                for entry in add {
                    if self.are_whole(tenant, std::slice::from_ref(&entry)).await? {
                        whole.push(entry);
                    }
                }
                add = whole;
            }
        }
        let cut = match change.cause {
            Cause::Ship(cut) => Some(cut),
            _ => None,
        };
        let remove = change.add.iter().map(Removed::from).collect();
        let undo = Change { add, remove, cause: Cause::Undo(cut) };
        let mut undo = vec![Pending { change: undo, reply: oneshot::channel().0 }];
        let undone = Box::pin(self.commit_changes(tenant, state, &mut undo, false)).await?;
        for answer in undone {
            answer?;
        }
        Err(late)
    }

    async fn are_whole(&self, tenant: &TenantId, blocks: &[BlockEntry]) -> Result<bool> {
        for entry in blocks {
            match self.check_whole(tenant, entry).await {
                Ok(()) => {}
                Err(CatalogError::BlockFile { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The moment `t` as a range.
fn range_at(t: i64) -> TimeRange {
    TimeRange::new(t.saturating_sub(1), t)
}

fn answers(applied: Vec<Result<Applied>>, version: u64) -> Vec<Result<Committed>> {
    let answer = |applied: Result<Applied>| {
        Ok(match applied? {
            Applied::Now => Committed::Now { version },
            Applied::Already => Committed::Already { version },
        })
    };
    applied.into_iter().map(answer).collect()
}
