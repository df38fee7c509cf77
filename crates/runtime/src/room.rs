//! A bound on the memory of work under way, shared fairly by its owners.
//!
//! Room is taken before bytes are held and given back when they are not held
//! any more; who finds none is told at once, and may try again later. An owner
//! may hold at most three times as much as is free afterwards, so that one
//! that asks without end still leaves a quarter to those who ask for little
//! (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on
//! Networking 6(2), 1998).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How much more an owner may hold than what is free.
const ALPHA: u64 = 3;

/// Bytes that may be held at once.
#[derive(Debug)]
pub struct Room {
    limit: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: u64,
    by: HashMap<Arc<str>, u64>,
}

/// What one piece of work holds, until it is dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    owner: Arc<str>,
    bytes: u64,
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes held by all.
    pub held: u64,
    /// Bytes held by the owner who asked.
    pub by_owner: u64,
    /// Bytes that may be held at once.
    pub limit: u64,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// A share of an owner that holds nothing yet.
    pub fn share(self: &Arc<Self>, owner: &str) -> Share {
        Share { room: Arc::clone(self), owner: owner.into(), bytes: 0 }
    }

    /// Takes room for one piece of work.
    ///
    /// # Errors
    /// As for [`Share::grow`].
    pub fn take(self: &Arc<Self>, owner: &str, bytes: u64) -> Result<Share, NoRoom> {
        let mut share = self.share(owner);
        share.grow(bytes)?;
        Ok(share)
    }

    /// Bytes held by all.
    pub fn held(&self) -> u64 {
        self.held.lock().all
    }
}

impl Share {
    /// Takes more. What is alone always gets it, so that a limit below one
    /// piece's size stops nothing for ever.
    ///
    /// # Errors
    /// When there is no room, or the owner has its part already; the share
    /// stays as it was.
    pub fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let limit = self.room.limit;
        let mut held = self.room.held.lock();
        let by_owner = held.by.get(&self.owner).copied().unwrap_or(0);
        let (all, own) = (held.all.saturating_add(bytes), by_owner.saturating_add(bytes));
        let alone = held.all == self.bytes;
        let fits = limit.checked_sub(all).is_some_and(|free| own <= free.saturating_mul(ALPHA));
        if !(alone || fits) {
            return Err(NoRoom { held: held.all, by_owner, limit });
        }
        held.all = all;
        held.by.insert(Arc::clone(&self.owner), own);
        drop(held);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.room.held.lock();
        held.all = held.all.saturating_sub(self.bytes);
        if let Some(own) = held.by.get_mut(&self.owner) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                held.by.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let room = Room::new(100);
        let large = room.take("a", 1000).expect("is alone");
        let refused = room.take("b", 1).expect_err("is full");
        assert_eq!(refused, NoRoom { held: 1000, by_owner: 0, limit: 100 });
        drop(large);
        assert_eq!(room.held(), 0);
        let mut grown = room.take("a", 10).expect("fits");
        grown.grow(50).expect("is alone");
        assert_eq!(room.held(), 60);
        drop(grown);
        assert!(room.held.lock().by.is_empty());
    }

    #[test]
    fn who_asks_without_end_leaves_room_for_others() {
        let room = Room::new(1000);
        let fill = |owner: &str| {
            let mut all = Vec::new();
            while let Ok(share) = room.take(owner, 10) {
                all.push(share);
            }
            all
        };
        let first = fill("first");
        assert_eq!(room.held(), 750);
        let second = fill("second");
        assert_eq!(second.len(), 18, "three quarters of what the first left");
        let calm: Vec<_> = (0..4).map(|_| room.take("calm", 10).expect("is little")).collect();
        assert!(room.held() <= 1000);
        drop((first, second, calm));
        assert_eq!(room.held(), 0);
    }
}
