//! How much memory requests under way take: overload is answered with 503
//! before a body is decompressed, not found out by the kernel.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::WriteError;

/// The bytes of all requests under way.
#[derive(Debug)]
pub(crate) struct Inflight {
    taken: AtomicU64,
    limit: u64,
}

/// The bytes of one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    of: &'a Inflight,
    bytes: u64,
}

impl Inflight {
    pub(crate) fn new(limit: u64) -> Self {
        Self { taken: AtomicU64::new(0), limit }
    }

    /// Takes room for one request. The first one always has room, so that a
    /// limit below one request's size stops nothing for ever.
    pub(crate) fn take(&self, bytes: u64) -> Result<Share<'_>, WriteError> {
        let limit = self.limit;
        let room = |taken: u64| {
            let next = taken.saturating_add(bytes);
            (taken == 0 || next <= limit).then_some(next)
        };
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            Ok(_) => Ok(Share { of: self, bytes }),
            Err(taken) => Err(WriteError::Overloaded { taken, limit }),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let inflight = Inflight::new(10);
        let first = inflight.take(100).unwrap();
        let over = WriteError::Overloaded { taken: 100, limit: 10 };
        assert_eq!(inflight.take(1).unwrap_err(), over);
        drop(first);
        let second = inflight.take(6).unwrap();
        assert!(inflight.take(5).is_err());
        assert!(inflight.take(4).is_ok());
        drop(second);
    }
}
