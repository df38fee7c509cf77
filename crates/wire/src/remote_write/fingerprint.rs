//! The name of a series before its labels are read: 128 bits of SipHash-1-3
//! of tenant and label bytes under a secret key.
//!
//! Keyed and 128 bits wide, because whoever could find two label sets with
//! one fingerprint could write into another's series. It is canonical for
//! one way of encoding: the two protocols, or two orders of labels, give one
//! series several fingerprints, all of which lead to the same reference.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use varve_model::TenantId;

/// Makes fingerprints under one key, which is drawn anew at every start.
#[derive(Clone)]
pub struct Fingerprints {
    key: [u8; 16],
}

/// Makes the fingerprints of one tenant's series.
#[derive(Clone)]
pub struct TenantFingerprints {
    plain: SipHasher13,
    tenant: SipHasher13,
}

impl Fingerprints {
    /// Under a key that senders cannot know.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Those of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantFingerprints {
        let plain = SipHasher13::new_with_key(&self.key);
        let mut hasher = plain;
        hasher.write(&(tenant.as_str().len() as u64).to_le_bytes());
        hasher.write(tenant.as_str().as_bytes());
        TenantFingerprints { plain, tenant: hasher }
    }
}

impl TenantFingerprints {
    /// Of the label fields of a 1.0 series, given in runs of whole fields.
    pub(super) fn runs(&self, runs: &[&[u8]]) -> u128 {
        let mut hasher = self.tenant;
        hasher.write(&[1]);
        for run in runs {
            hasher.write(run);
        }
        hasher.finish128().as_u128()
    }

    /// Of one symbol of a 2.0 request.
    pub(super) fn symbol(&self, symbol: &[u8]) -> [u8; 16] {
        let mut hasher = self.plain;
        hasher.write(symbol);
        hasher.finish128().as_bytes()
    }

    /// Of a 2.0 series, from the hashes of its symbols.
    pub(super) fn symbols<'a>(&self, hashes: impl Iterator<Item = &'a [u8; 16]>) -> u128 {
        let mut hasher = self.tenant;
        hasher.write(&[2]);
        for hash in hashes {
            hasher.write(hash);
        }
        hasher.finish128().as_u128()
    }
}
