//! One partition's part of the segment log.
//!
//! An append takes room in the queue (waiting for it in turn, so that order is
//! kept), hands its payload to the writer thread and waits for the sync.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::subscribe::deliver;
use super::writer::{Operation, Request};
use super::{PartitionState, Shared, WriterThread};
use crate::{EntryKind, LogError, LogEvent, PartitionLog, Position};

/// Events that wait in a subscription's channel.
const SUBSCRIPTION_EVENTS: usize = 16;

pub(crate) struct View {
    shared: Arc<Shared>,
    state: Arc<PartitionState>,
    /// Keeps the writer running.
    thread: Arc<WriterThread>,
}

impl View {
    pub(super) fn new(
        shared: Arc<Shared>,
        thread: Arc<WriterThread>,
        state: Arc<PartitionState>,
    ) -> Self {
        Self { shared, state, thread }
    }

    async fn request(&self, operation: Operation) -> Result<Position, LogError> {
        let bytes = operation.bytes();
        let permits = u32::try_from(bytes.clamp(1, self.shared.config.queue_bytes));
        let permit: OwnedSemaphorePermit = Arc::clone(&self.shared.room)
            .acquire_many_owned(permits.unwrap_or(u32::MAX))
            .await
            .map_err(|_| self.closed_error())?;
        let (done, answer) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            if let Some(error) = &queue.closed {
                return Err(error.clone());
            }
            self.shared.config.metrics.queue_bytes.add(i64::try_from(bytes).unwrap_or(i64::MAX));
            let state = Arc::clone(&self.state);
            queue.requests.push_back(Request { state, operation, done, permit });
        }
        self.thread.wake().await;
        answer.await.map_err(|_| self.closed_error())?
    }

    fn closed_error(&self) -> LogError {
        let closed = self.shared.queue.lock().closed.clone();
        closed.unwrap_or_else(|| LogError::Closed { reason: "the writer is gone".into() })
    }
}

#[async_trait]
impl PartitionLog for View {
    fn id(&self) -> u32 {
        self.state.id
    }

    async fn append(&self, kind: EntryKind, payload: Bytes) -> Result<Position, LogError> {
        let limit = usize::try_from(self.shared.config.segment_bytes / 2).unwrap_or(usize::MAX);
        if payload.len() > limit {
            return Err(LogError::TooLarge { size: payload.len(), limit });
        }
        self.request(Operation::Append { kind, payload }).await
    }

    fn subscribe(&self, from: u64) -> mpsc::Receiver<LogEvent> {
        let (sender, receiver) = mpsc::channel(SUBSCRIPTION_EVENTS);
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        tokio::spawn(deliver(shared, state, from.max(1), sender));
        receiver
    }

    async fn purge(&self, index: u64) -> Result<(), LogError> {
        self.request(Operation::Purge { index }).await.map(|_| ())
    }

    fn held_bytes(&self) -> u64 {
        self.state.index.lock().held()
    }

    async fn read_barrier(&self) -> Result<u64, LogError> {
        match &self.shared.queue.lock().closed {
            Some(error) => Err(error.clone()),
            None => Ok(self.state.index.lock().last),
        }
    }
}
