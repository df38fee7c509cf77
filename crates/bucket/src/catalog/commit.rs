//! Making the next version.
//!
//! 1. apply the changes to the newest version known, write the leaves
//! 2. create manifest v+1 if absent: whoever does has committed (C-1)
//! 3. read the floor again: floor ≥ v+1 means that this number had been used
//!    and collected, so the commit is void and is done again (C-3)
//! 4. look at the clock: had it taken so long that the new files may have been
//!    collected as orphans, the leaves are put again and the blocks taken back
//! 5. write the hint
//!
//! Only after 3 and 4 is a commit acknowledged.

use std::sync::Arc;
use std::time::Duration;

use varve_block::BlockEntry;
use varve_model::{TenantId, TimeRange};
use varve_runtime::failpoint;

use super::apply::{Applied, Draft, Written};
use super::error::{CatalogError, Result};
use super::queue::Pending;
use super::snapshot::Snapshot;
use super::tenant::{Inner, Tenant};
use super::{Cause, Change, Committed, Removed};
use crate::bucket::PutOutcome;
use crate::paths;

/// The longest pause after a lost race, in milliseconds.
const MAX_PAUSE_MS: u64 = 500;

/// What became of an attempt to write a manifest.
enum Attempt {
    /// It is the newest version.
    Won(Arc<Snapshot>),
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
        batch: Vec<Pending>,
    ) {
        let changes: Vec<&Change> = batch.iter().map(|p| &p.change).collect();
        let answers = match self.commit_changes(tenant, state, &changes).await {
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

    async fn commit_changes(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        changes: &[&Change],
    ) -> Result<Vec<Result<Committed>>> {
        let began_ms = self.clock.now_ms();
        let mut lost = 0;
        let known = state.known.lock().newest.clone();
        let (mut base, mut strict) = match known {
            Some((newest, _)) => (newest, false),
            None => (self.refresh(tenant, state, true).await?, true),
        };
        loop {
            let attempt_ms = self.clock.now_ms();
            let mut draft = Draft::new(base.clone());
            let mut applied = Vec::with_capacity(changes.len());
            for change in changes {
                applied.push(self.apply(&mut draft, change).await);
            }
            let is_now = |a: &Result<Applied>| matches!(a, Ok(Applied::Now));
            if !strict && !applied.iter().all(is_now) {
                // A refusal must not rest on a version that is only remembered.
                base = self.refresh(tenant, state, true).await?;
                strict = true;
                continue;
            }
            if !applied.iter().any(is_now) {
                return Ok(answers(applied, base.version()));
            }
            let written = self.write_leaves(draft, self.token()).await?;
            let before = base.clone();
            match self.write_manifest(tenant, state, &written, base).await? {
                Attempt::Won(snapshot) => {
                    let version = snapshot.version();
                    let mut answers = answers(applied, version);
                    let late_ms = self.clock.now_ms().saturating_sub(attempt_ms);
                    if late_ms >= self.config.orphan_ms / 4 {
                        self.put_leaves(tenant, &written).await?;
                    }
                    for (change, answer) in changes.iter().zip(&mut answers) {
                        if let Ok(Committed::Now { .. }) = answer
                            && let Err(error) = self.undo_late(tenant, state, change, &before).await
                        {
                            *answer = Err(error);
                        }
                    }
                    return Ok(answers);
                }
                Attempt::Lost => {
                    self.bucket.metrics().lost_races.inc();
                    lost += 1;
                    self.pause(tenant, lost, began_ms).await?;
                    base = self.refresh(tenant, state, false).await?;
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
        self.write_hint(tenant, version, floor).await;
        Ok(Attempt::Won(snapshot))
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
        for removed in &change.remove {
            let all = before.blocks(range_at(removed.range_end)).await?;
            add.extend(all.into_iter().filter(|b| b.id == removed.id));
        }
        let cut = match change.cause {
            Cause::Ship(cut) => Some(cut),
            _ => None,
        };
        let remove = change.add.iter().map(Removed::from).collect();
        let undo = Change { add, remove, cause: Cause::Undo(cut) };
        let undone = Box::pin(self.commit_changes(tenant, state, &[&undo])).await?;
        for answer in undone {
            answer?;
        }
        Err(late)
    }

    /// Waits after the `lost`-th race, longer each time and never as long as
    /// the others; an error when the commit has taken too long.
    async fn pause(&self, tenant: &TenantId, lost: u32, began_ms: i64) -> Result<()> {
        let ms = self.clock.now_ms().saturating_sub(began_ms);
        if ms >= self.config.commit_ms {
            return Err(CatalogError::Contended { tenant: tenant.clone(), lost, ms });
        }
        let most = (4u64 << lost.min(10)).min(MAX_PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
        Ok(())
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
