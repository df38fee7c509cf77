//! Commits of one tenant wait in a queue and are made together, so that a
//! process needs one manifest for all that arrived while it wrote the last.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::oneshot;
use varve_block::{BLOCK_JSON, BlockEntry};
use varve_model::TenantId;

use super::error::{CatalogError, Result};
use super::tenant::{Inner, Tenant};
use super::{Change, Committed};
use crate::paths;

/// The most changes in one version.
const MAX_BATCH: usize = 1024;
/// Files of a block looked at at once.
const HEADS_IN_FLIGHT: usize = 8;

/// Changes that wait.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Pending>,
    /// Whether a task works on them.
    running: bool,
}

impl Queue {
    /// Moves what waits into a batch that is not yet under way, as far as it
    /// takes more.
    pub(crate) fn top_up(&mut self, batch: &mut Vec<Pending>) {
        let room = MAX_BATCH.saturating_sub(batch.len()).min(self.waiting.len());
        batch.extend(self.waiting.drain(..room));
    }
}

/// One change and where its answer goes.
pub(crate) struct Pending {
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Result<Committed>>,
}

impl Inner {
    /// Checks a change, queues it, and waits for its answer.
    pub(crate) async fn submit(
        self: Arc<Self>,
        tenant: &TenantId,
        state: Arc<Tenant>,
        change: Change,
    ) -> Result<Committed> {
        validate(&change)?;
        self.check_files(tenant, &change.add).await?;
        let (reply, answer) = oneshot::channel();
        let start = {
            let mut queue = state.queue.lock();
            queue.waiting.push_back(Pending { change, reply });
            !std::mem::replace(&mut queue.running, true)
        };
        if start {
            // A task of its own: a caller that goes away must not take the
            // changes of the others with it.
            tokio::spawn(work(self, tenant.clone(), state));
        }
        answer.await.unwrap_or(Err(CatalogError::Abandoned))
    }

    /// Every file of every added block is in the bucket with the size that its
    /// entry says, and the block is younger than half the orphan age (C-6).
    async fn check_files(&self, tenant: &TenantId, blocks: &[BlockEntry]) -> Result<()> {
        for entry in blocks {
            self.check_age(entry.id, self.config.orphan_ms / 2)?;
            self.check_whole(tenant, entry).await?;
        }
        Ok(())
    }

    /// Every file of a block is in the bucket with the size that its entry
    /// says; `BlockFile` when not.
    pub(crate) async fn check_whole(&self, tenant: &TenantId, entry: &BlockEntry) -> Result<()> {
        let named = entry.files.iter().map(|(name, file)| (name.as_str(), Some(file.size)));
        let files: Vec<_> = named.chain([(BLOCK_JSON, None)]).collect();
        stream::iter(files)
            .map(Ok)
            .try_for_each_concurrent(HEADS_IN_FLIGHT, |(name, size)| async move {
                let path = paths::block_file(tenant, entry.id, name);
                let detail = match self.bucket.head(&path).await {
                    Ok(info) if size.is_none_or(|size| size == info.size) => return Ok(()),
                    Ok(info) => format!("{} bytes, expected {size:?}", info.size),
                    Err(error) if error.is_not_found() => "not found".to_owned(),
                    Err(error) => return Err(error.into()),
                };
                Err(CatalogError::BlockFile { id: entry.id, file: name.to_owned(), detail })
            })
            .await
    }

    /// Refuses a block that was begun `limit_ms` ago or earlier. A block's age
    /// is that of its id, for committers and for garbage collection alike.
    pub(crate) fn check_age(&self, id: ulid::Ulid, limit_ms: i64) -> Result<()> {
        let begun = i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX);
        let age_ms = self.clock.now_ms().saturating_sub(begun);
        if age_ms < limit_ms {
            return Ok(());
        }
        Err(CatalogError::BlockTooOld { id, age_ms, limit_ms })
    }
}

/// Refuses what no catalog could mean.
fn validate(change: &Change) -> Result<()> {
    let invalid = |detail: String| Err(CatalogError::Invalid(detail));
    if change.add.is_empty() && change.remove.is_empty() {
        return invalid("it neither adds nor removes a block".to_owned());
    }
    let mut ids = std::collections::HashSet::new();
    for entry in &change.add {
        if entry.range.is_empty() {
            return invalid(format!("the range of block {} is empty", entry.id));
        }
        if !ids.insert(entry.id) {
            return invalid(format!("block {} is added twice", entry.id));
        }
    }
    for removed in &change.remove {
        if !ids.insert(removed.id) {
            return invalid(format!("block {} is named twice", removed.id));
        }
    }
    Ok(())
}

/// Works until nothing waits.
async fn work(inner: Arc<Inner>, tenant: TenantId, state: Arc<Tenant>) {
    /// A worker that panics must not leave the queue without one.
    struct Running<'a>(&'a Tenant);
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            let mut queue = self.0.queue.lock();
            queue.running = false;
            // Whoever still waits is told that nobody works for it.
            queue.waiting.clear();
        }
    }
    let running = Running(&state);
    // Those that are ready at the same moment come along.
    tokio::task::yield_now().await;
    loop {
        let mut batch = Vec::new();
        {
            let mut queue = state.queue.lock();
            if queue.waiting.is_empty() {
                queue.running = false;
                std::mem::forget(running);
                return;
            }
            queue.top_up(&mut batch);
        }
        inner.commit_batch(&tenant, &state, batch).await;
    }
}
