//! Payloads of the log entries that carry no samples.
//!
//! Whatever a proposer decided by its clock or configuration stands in them,
//! so that applying needs neither. docs/formats/seal.md draws them.

use std::collections::BTreeMap;

use bytes::Bytes;
use varve_model::TenantId;

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};

/// The version byte that every payload begins with.
const VERSION: u8 = 1;

/// Buffers are closed, and shipped cuts leave the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealEntry {
    /// When it was proposed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// Cuts whose hold time has passed: (window end, number).
    pub(crate) release: Vec<(i64, u64)>,
}

/// What a window holds becomes a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutEntry {
    pub(crate) window_end: i64,
    /// The number asked for; the cut gets a higher one if it is taken.
    pub(crate) number: u64,
    /// When it was proposed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
}

/// The blocks of a cut are in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShippedEntry {
    pub(crate) window_end: i64,
    pub(crate) number: u64,
    /// When it was proposed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// By tenant, the catalog version that names its block.
    pub(crate) versions: BTreeMap<TenantId, u64>,
}

/// A tenant's out-of-order window changes, or an empty head is told where its
/// references begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigEntry {
    pub(crate) tenant: TenantId,
    /// Milliseconds.
    pub(crate) out_of_order_window: i64,
    /// References given out from here on are at least this.
    pub(crate) first_reference: u64,
}

impl SealEntry {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_i64(&mut out, self.at_ms);
        put_u64(&mut out, self.release.len() as u64);
        for (window_end, number) in &self.release {
            put_i64(&mut out, *window_end);
            put_u64(&mut out, *number);
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(bytes)?;
        let at_ms = r.i64()?;
        let release =
            (0..r.count(2)?).map(|_| Ok((r.i64()?, r.u64()?))).collect::<Result<_, _>>()?;
        r.end()?;
        Ok(Self { at_ms, release })
    }
}

impl CutEntry {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_i64(&mut out, self.window_end);
        put_u64(&mut out, self.number);
        put_i64(&mut out, self.at_ms);
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(bytes)?;
        let (window_end, number, at_ms) = (r.i64()?, r.u64()?, r.i64()?);
        r.end()?;
        Ok(Self { window_end, number, at_ms })
    }
}

impl ShippedEntry {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_i64(&mut out, self.window_end);
        put_u64(&mut out, self.number);
        put_i64(&mut out, self.at_ms);
        put_versions(&mut out, &self.versions);
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(bytes)?;
        let (window_end, number, at_ms) = (r.i64()?, r.u64()?, r.i64()?);
        let versions = take_versions(&mut r)?;
        r.end()?;
        Ok(Self { window_end, number, at_ms, versions })
    }
}

impl ConfigEntry {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_bytes(&mut out, self.tenant.as_str().as_bytes());
        put_i64(&mut out, self.out_of_order_window);
        put_u64(&mut out, self.first_reference);
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(bytes)?;
        let (tenant, out_of_order_window) = (take_tenant(&mut r)?, r.i64()?);
        let first_reference = r.u64()?;
        r.end()?;
        Ok(Self { tenant, out_of_order_window, first_reference })
    }
}

fn open(bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let mut r = Reader::new(bytes);
    if r.u8()? != VERSION {
        return Err(Malformed { at: 0, what: "unknown version" });
    }
    Ok(r)
}

pub(crate) fn take_tenant(r: &mut Reader<'_>) -> Result<TenantId, Malformed> {
    let at = r.fail("not a tenant");
    TenantId::new(r.str()?).map_err(|_| at)
}

pub(crate) fn put_versions(out: &mut Vec<u8>, versions: &BTreeMap<TenantId, u64>) {
    put_u64(out, versions.len() as u64);
    for (tenant, version) in versions {
        put_bytes(out, tenant.as_str().as_bytes());
        put_u64(out, *version);
    }
}

pub(crate) fn take_versions(r: &mut Reader<'_>) -> Result<BTreeMap<TenantId, u64>, Malformed> {
    (0..r.count(2)?).map(|_| Ok((take_tenant(r)?, r.u64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_round_trip(a: i64, b: i64, n: u64, v: u64) {
            let tenant = TenantId::anonymous();
            let seal = SealEntry { at_ms: a, release: vec![(b, n), (a, v)] };
            prop_assert_eq!(SealEntry::decode(&seal.encode()), Ok(seal));
            let cut = CutEntry { window_end: a, number: n, at_ms: b };
            prop_assert_eq!(CutEntry::decode(&cut.encode()), Ok(cut));
            let versions = BTreeMap::from([(tenant.clone(), v)]);
            let shipped = ShippedEntry { window_end: a, number: n, at_ms: b, versions };
            prop_assert_eq!(ShippedEntry::decode(&shipped.encode()), Ok(shipped));
            let config = ConfigEntry { tenant, out_of_order_window: a, first_reference: n };
            prop_assert_eq!(ConfigEntry::decode(&config.encode()), Ok(config));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(mut b in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(first) = b.first_mut() {
                *first = VERSION;
            }
            let _ = (SealEntry::decode(&b), CutEntry::decode(&b));
            let _ = (ShippedEntry::decode(&b), ConfigEntry::decode(&b));
        }
    }
}
