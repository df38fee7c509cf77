//! Batches that append has decoded, on their way through the log.
//!
//! The log brings a live entry back in the very bytes that were proposed, so
//! that the batch decoded from them needs no second decoding. An entry that
//! comes from disk is in other bytes and is decoded.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use varve_wire::batch::WriteBatch;

/// A decoded batch.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) batch: WriteBatch,
    /// [`crate::state::State::removals`] when all of its references were found
    /// to be known.
    pub(crate) removals: u64,
}

/// The batches under way of one partition, by the place of their bytes.
#[derive(Debug, Default)]
pub(crate) struct Offered(Mutex<HashMap<(usize, usize), Offer>>);

/// Keeps the bytes of an offer, so that no others can be in their place.
pub(crate) struct Offering<'a> {
    offered: &'a Offered,
    bytes: Bytes,
}

impl Offered {
    /// Offers a batch until the guard is dropped.
    pub(crate) fn offer(&self, bytes: &Bytes, offer: Offer) -> Offering<'_> {
        self.0.lock().insert(place(bytes), offer);
        Offering { offered: self, bytes: bytes.clone() }
    }

    /// Takes the batch that was decoded from these bytes.
    pub(crate) fn take(&self, bytes: &Bytes) -> Option<Offer> {
        self.0.lock().remove(&place(bytes))
    }
}

impl Drop for Offering<'_> {
    fn drop(&mut self) {
        self.offered.take(&self.bytes);
    }
}

fn place(bytes: &Bytes) -> (usize, usize) {
    (bytes.as_ptr() as usize, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use varve_model::TenantId;

    #[test]
    fn an_offer_is_taken_once_and_only_for_its_bytes() {
        let offered = Offered::default();
        let offer = || Offer { batch: WriteBatch::new(TenantId::anonymous()), removals: 3 };
        let (bytes, same) = (Bytes::from(vec![1, 2]), Bytes::from(vec![1, 2]));
        let guard = offered.offer(&bytes, offer());
        assert!(offered.take(&same).is_none());
        assert_eq!(offered.take(&bytes.clone()).map(|o| o.removals), Some(3));
        assert!(offered.take(&bytes).is_none());
        drop(guard);
        drop(offered.offer(&bytes, offer()));
        assert!(offered.take(&bytes).is_none());
    }
}
