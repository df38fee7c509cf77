//! Brings what applying an entry told to whoever proposed it.
//!
//! A proposer learns the index of its entry from the log, about when the
//! entry is applied; either may come first.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::state::Applied;

/// The proposers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Proposals whose index is not known yet.
    proposing: usize,
    waiting: HashMap<u64, oneshot::Sender<Applied>>,
    /// What was applied before its proposer knew the index.
    early: HashMap<u64, Applied>,
    closed: bool,
}

impl Waiters {
    /// Announces a proposal; must be followed by `register` or `abandon`.
    pub(crate) fn begin(&self) {
        self.0.lock().proposing += 1;
    }

    /// The proposal became the entry `index`.
    pub(crate) fn register(&self, index: u64) -> oneshot::Receiver<Applied> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.0.lock();
        match inner.early.remove(&index) {
            // The receiver is at hand, so that sending cannot fail.
            Some(applied) => drop(sender.send(applied)),
            None if inner.closed => drop(sender),
            None => {
                inner.waiting.insert(index, sender);
            }
        }
        inner.finish();
        receiver
    }

    /// The proposal did not become an entry.
    pub(crate) fn abandon(&self) {
        self.0.lock().finish();
    }

    /// An entry was applied.
    pub(crate) fn complete(&self, index: u64, applied: Applied) {
        let mut inner = self.0.lock();
        match inner.waiting.remove(&index) {
            // A proposer that went away needs no answer.
            Some(sender) => drop(sender.send(applied)),
            None if inner.proposing > 0 => {
                inner.early.insert(index, applied);
            }
            None => {}
        }
    }

    /// Nothing will be applied any more.
    pub(crate) fn close(&self) {
        let mut inner = self.0.lock();
        inner.closed = true;
        inner.waiting.clear();
    }
}

impl Inner {
    fn finish(&mut self) {
        self.proposing -= 1;
        // Entries of others are nobody's to wait for.
        if self.proposing == 0 {
            self.early.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn either_order_arrives() {
        let waiters = Waiters::default();
        waiters.begin();
        waiters.complete(1, Applied::Cut(None));
        assert!(matches!(waiters.register(1).await, Ok(Applied::Cut(None))));
        waiters.begin();
        let receiver = waiters.register(2);
        waiters.complete(2, Applied::Done);
        assert!(matches!(receiver.await, Ok(Applied::Done)));
        waiters.complete(3, Applied::Done);
        assert!(waiters.0.lock().early.is_empty());
        waiters.begin();
        waiters.close();
        assert!(waiters.register(4).await.is_err());
    }
}
