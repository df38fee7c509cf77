//! Which appends may go on: those whose bytes find room, a tenant's own in
//! turn.
//!
//! The log takes appends in the order in which they come. So that nobody's
//! backlog stands before everybody, a tenant has only some bytes in the log's
//! queue at a time and waits here, behind its own, with the rest.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use varve_runtime::{Room, Share};

use crate::config::Config;
use crate::error::{IngesterError, Result};

/// Memory of an append beside its batch: task, request and answer.
const APPEND_BYTES: u64 = 4 << 10;
/// Part of the log's queue that one tenant may hold.
const TURN_SHARE: u64 = 8;
/// Tenants from which on those that wait for nothing are forgotten.
const TENANTS: usize = 10_000;

/// Decides about appends.
pub(crate) struct Admission {
    room: Arc<Room>,
    /// Bytes that a tenant may have in the log's queue.
    turn: u32,
    turns: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// An append that may go on, until it is dropped.
pub(crate) struct Admitted {
    _share: Share,
    _turn: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(config: &Config) -> Self {
        // A semaphore counts further than any queue is long.
        let turn = u32::try_from((config.log_queue.0 / TURN_SHARE).max(1)).unwrap_or(u32::MAX);
        Self { room: Room::new(config.append_room.0), turn, turns: Mutex::default() }
    }

    /// Waits for the tenant's turn.
    ///
    /// # Errors
    /// At once when there is no room to wait.
    pub(crate) async fn admit(&self, tenant: &str, bytes: usize) -> Result<Admitted> {
        let share = self.room.take(tenant, bytes as u64 + APPEND_BYTES);
        let share = share.map_err(IngesterError::Overloaded)?;
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.turn);
        let turn = self.turns(tenant).acquire_many_owned(permits).await;
        let turn = turn.map_err(|_| IngesterError::CutOff("an append"))?;
        Ok(Admitted { _share: share, _turn: turn })
    }

    /// Bytes of the appends under way.
    pub(crate) fn held(&self) -> u64 {
        self.room.held()
    }

    fn turns(&self, tenant: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock();
        if let Some(found) = turns.get(tenant) {
            return Arc::clone(found);
        }
        if turns.len() >= TENANTS {
            turns.retain(|_, t| Arc::strong_count(t) > 1);
        }
        let new = Arc::new(Semaphore::new(self.turn as usize));
        turns.insert(tenant.into(), Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use varve_runtime::config::ByteSize;

    use super::*;

    #[test]
    fn a_backlog_waits_behind_itself() {
        let config =
            Config { log_queue: ByteSize(80), append_room: ByteSize(40_000), ..Config::default() };
        let admission = Admission::new(&config);
        let admit = |tenant: &'static str, bytes| admission.admit(tenant, bytes);
        let first = admit("a", 8).now_or_never().expect("at once").expect("has room");
        let mut second = Box::pin(admit("a", 3));
        assert!((&mut second).now_or_never().is_none(), "3 of 10 bytes are not left");
        assert!(admit("b", 10).now_or_never().expect("at once").is_ok());
        drop(first);
        let second = second.now_or_never().expect("its turn").expect("has room");
        // Longer than a turn: as much of it as there is.
        let long = admit("c", 1000).now_or_never().expect("at once").expect("has room");
        let refused = admit("a", 30_000).now_or_never().expect("at once");
        assert!(matches!(refused, Err(IngesterError::Overloaded(_))));
        drop((second, long));
        assert_eq!(admission.held(), 0);
    }
}
