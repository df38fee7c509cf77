//! Making the next version.
//!
//! 1. apply the changes to the newest version known, write the leaves (or,
//!    where others commit too, put what is added into the manifest)
//! 2. create manifest v+1 if absent: whoever does has committed (C-1)
//! 3. read the floor again: floor ≥ v+1 means that this number had been used
//!    and collected, so the commit is void and is done again (C-3)
//! 4. write the marks of blocks that came or went other than by shipping
//! 5. write the hint
//!
//! Only after 4 is a commit acknowledged. However long it took: a collection
//! that would delete what it adds makes it lose the race first (C-6). How committers make way for each
//! other is in `race.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;
use varve_block::BlockEntry;
use varve_model::TenantId;
use varve_runtime::failpoint;

use super::apply::{Applied, Draft, Place, Written};
use super::error::{CatalogError, Result};
use super::floor::Floor;
use super::marks::{self, Fate, Mark};
use super::queue::Pending;
use super::race::Race;
use super::snapshot::Snapshot;
use super::tenant::{Inner, Tenant};
use super::{Cause, Change, Committed};
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
        let answers = match self.commit_changes(tenant, state, &mut batch).await {
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
    /// It takes in what arrives while it cannot be made.
    async fn commit_changes(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        batch: &mut Vec<Pending>,
    ) -> Result<Vec<Result<Committed>>> {
        let mut race = Race::new(self.clock.now_ms());
        let known = state.known.lock().newest.clone();
        let (mut base, mut strict) = match known {
            Some((newest, _)) => (newest, false),
            None => (self.refresh(tenant, state, true).await?, true),
        };
        loop {
            state.queue.lock().top_up(batch);
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
            let place = self.place(state, &race);
            let written = match self.write_draft(draft, place, self.token()).await {
                // What is only remembered may have been collected, leaves and all.
                Err(CatalogError::VersionGone { .. }) if !strict => {
                    state.known.lock().distrust();
                    base = self.refresh(tenant, state, true).await?;
                    strict = true;
                    continue;
                }
                written => written?,
            };
            let requests = written.requests + 1;
            match self.write_manifest(tenant, state, &written, base).await? {
                Attempt::Won(snapshot, floor) => {
                    state.contended.store(!race.is_calm(), Relaxed);
                    let version = snapshot.version();
                    let mut answers = answers(applied, version);
                    self.mark_all(tenant, batch, &mut answers).await;
                    if race.is_calm() || version.is_multiple_of(HINT_EVERY) {
                        self.write_hint(tenant, version, floor).await;
                    }
                    return Ok(answers);
                }
                Attempt::Lost => {
                    self.bucket.metrics().lost_races.inc();
                    race.lose(attempt.elapsed() / requests);
                    base = self.make_way(tenant, state, batch, &mut race).await?;
                    strict = false;
                }
                Attempt::Void => {
                    self.bucket.metrics().void_commits.inc();
                    state.known.lock().distrust();
                    base = self.refresh(tenant, state, true).await?;
                    strict = true;
                    self.drop_outlived(tenant, batch).await?;
                }
            }
        }
    }

    /// Where to put what is added: into leaves, unless others commit at the
    /// same time, or did when this process last committed.
    fn place(&self, state: &Tenant, race: &Race) -> Place {
        if race.is_calm() && !state.contended.load(Relaxed) {
            Place::Leaves
        } else {
            Place::Manifest
        }
    }

    /// Answers those whose blocks have come and gone while this slept: the
    /// number may have been won in time and been collected since, and what was
    /// removed then must not return (C-2). Cuts are remembered anyhow.
    async fn drop_outlived(&self, tenant: &TenantId, batch: &mut Vec<Pending>) -> Result<()> {
        let mut left = Vec::with_capacity(batch.len());
        for pending in batch.drain(..) {
            let answer = match pending.change.cause {
                Cause::Ship(_) => None,
                _ => self.outlived(tenant, &pending.change.add).await.transpose(),
            };
            match answer {
                None => left.push(pending),
                // A caller that went away has no use for the answer.
                Some(answer) => drop(pending.reply.send(answer)),
            }
        }
        *batch = left;
        Ok(())
    }

    async fn outlived(
        &self,
        tenant: &TenantId,
        blocks: &[BlockEntry],
    ) -> Result<Option<Committed>> {
        for entry in blocks {
            let folder = self.bucket.list_folder(&paths::block(tenant, entry.id)).await?;
            let marks = folder.objects.iter().filter_map(|o| Mark::parse(o.path.file_name()));
            let removed = marks.filter(|m| m.fate == Fate::Removed).map(|m| m.version).max();
            if let Some(version) = removed {
                return Ok(Some(Committed::Already { version }));
            }
            self.check_whole(tenant, entry).await?;
        }
        Ok(None)
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
        let admit = |entry: &BlockEntry| self.check_age(entry.id, self.config.orphan_ms / 2);
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
        let bytes = written.manifest.encode()?;
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

fn answers(applied: Vec<Result<Applied>>, version: u64) -> Vec<Result<Committed>> {
    let answer = |applied: Result<Applied>| {
        Ok(match applied? {
            Applied::Now => Committed::Now { version },
            Applied::Already => Committed::Already { version },
        })
    };
    applied.into_iter().map(answer).collect()
}
