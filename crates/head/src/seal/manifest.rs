//! The manifest: what a partition is, and which files hold its samples.
//!
//! One file, replaced atomically. What it does not say follows from the files
//! it names, or from the log behind its index.

use std::collections::BTreeMap;
use std::sync::Arc;

use varve_model::{Metadata, MetricType, TenantId};

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::entry::{put_versions, take_tenant, take_versions};
use crate::windows::{CutState, ShippedState, Windows};

pub(crate) const MAGIC: &[u8; 8] = b"VRVHEAD1";

/// What the manifest file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) partition: u32,
    /// Position of the last entry that it covers.
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) next_reference: u64,
    /// Without counts of uncut samples, which follow from the chunks.
    pub(crate) windows: Windows,
    pub(crate) tenants: BTreeMap<TenantId, TenantManifest>,
    /// Numbers of the files of samples.
    pub(crate) chunks: Vec<u64>,
    /// Numbers of the files of series, and how many each names.
    pub(crate) series: Vec<(u64, u64)>,
}

/// What it says of one tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TenantManifest {
    pub(crate) max_time: i64,
    pub(crate) out_of_order: i64,
    pub(crate) released_at: u64,
    pub(crate) metadata: BTreeMap<Arc<str>, Vec<Metadata>>,
    /// Newest times of series whose chunks do not tell.
    pub(crate) newest: Vec<(u64, i64)>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [u64::from(self.partition), self.term, self.index, self.next_reference] {
            put_u64(&mut out, n);
        }
        put_windows(&mut out, &self.windows);
        put_u64(&mut out, self.tenants.len() as u64);
        for (id, tenant) in &self.tenants {
            put_bytes(&mut out, id.as_str().as_bytes());
            put_tenant(&mut out, tenant);
        }
        put_u64(&mut out, self.chunks.len() as u64);
        for id in &self.chunks {
            put_u64(&mut out, *id);
        }
        put_u64(&mut out, self.series.len() as u64);
        for (id, count) in &self.series {
            put_u64(&mut out, *id);
            put_u64(&mut out, *count);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let (partition, term, index) = (r.u32()?, r.u64()?, r.u64()?);
        let next_reference = r.u64()?;
        let windows = take_windows(&mut r)?;
        let tenants = (0..r.count(6)?)
            .map(|_| Ok((take_tenant(&mut r)?, take_tenant_state(&mut r)?)))
            .collect::<Result<_, _>>()?;
        let chunks = (0..r.count(1)?).map(|_| r.u64()).collect::<Result<_, _>>()?;
        let series =
            (0..r.count(2)?).map(|_| Ok((r.u64()?, r.u64()?))).collect::<Result<_, _>>()?;
        r.end()?;
        Ok(Self { partition, term, index, next_reference, windows, tenants, chunks, series })
    }
}

fn put_tenant(out: &mut Vec<u8>, tenant: &TenantManifest) {
    put_i64(out, tenant.max_time);
    put_i64(out, tenant.out_of_order);
    put_u64(out, tenant.released_at);
    put_u64(out, tenant.metadata.len() as u64);
    for (metric, texts) in &tenant.metadata {
        put_bytes(out, metric.as_bytes());
        put_u64(out, texts.len() as u64);
        for m in texts {
            out.push(m.kind as u8);
            put_bytes(out, m.help.as_bytes());
            put_bytes(out, m.unit.as_bytes());
        }
    }
    put_u64(out, tenant.newest.len() as u64);
    for (reference, newest) in &tenant.newest {
        put_u64(out, *reference);
        put_i64(out, *newest);
    }
}

fn take_tenant_state(r: &mut Reader<'_>) -> Result<TenantManifest, Malformed> {
    let (max_time, out_of_order, released_at) = (r.i64()?, r.i64()?, r.u64()?);
    let mut metadata = BTreeMap::new();
    for _ in 0..r.count(2)? {
        let metric = r.str()?.into();
        let texts = (0..r.count(3)?)
            .map(|_| {
                let kind = MetricType::from_number(i32::from(r.u8()?));
                Ok(Metadata { kind, help: r.str()?.into(), unit: r.str()?.into() })
            })
            .collect::<Result<_, _>>()?;
        metadata.insert(metric, texts);
    }
    let newest = (0..r.count(2)?).map(|_| Ok((r.u64()?, r.i64()?))).collect::<Result<_, _>>()?;
    Ok(TenantManifest { max_time, out_of_order, released_at, metadata, newest })
}

fn put_windows(out: &mut Vec<u8>, windows: &Windows) {
    put_u64(out, windows.last_number);
    let cut = windows.by_end.iter().filter(|(_, w)| !w.cuts.is_empty());
    put_u64(out, cut.clone().count() as u64);
    for (end, window) in cut {
        put_i64(out, *end);
        put_u64(out, window.cuts.len() as u64);
        for c in &window.cuts {
            for n in [c.number, c.term, c.index] {
                put_u64(out, n);
            }
            put_i64(out, c.at_ms);
            out.push(u8::from(c.shipped.is_some()) | u8::from(c.released) << 1);
            if let Some(shipped) = &c.shipped {
                put_i64(out, shipped.at_ms);
                put_versions(out, &shipped.versions);
            }
        }
    }
}

fn take_windows(r: &mut Reader<'_>) -> Result<Windows, Malformed> {
    let mut windows = Windows { last_number: r.u64()?, ..Windows::default() };
    for _ in 0..r.count(2)? {
        let end = r.i64()?;
        let window = windows.by_end.entry(end).or_default();
        for _ in 0..r.count(5)? {
            let (number, term, index, at_ms) = (r.u64()?, r.u64()?, r.u64()?, r.i64()?);
            let at = r.fail("cut has impossible flags or order");
            let flags = r.u8()?;
            if flags > 3 || flags == 2 || window.cuts.last().is_some_and(|c| c.index >= index) {
                return Err(at);
            }
            let shipped = (flags & 1 != 0)
                .then(|| Ok(ShippedState { at_ms: r.i64()?, versions: take_versions(r)? }))
                .transpose()?;
            let released = flags & 2 != 0;
            window.cuts.push(CutState { number, term, index, at_ms, shipped, released });
        }
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_trip() {
        let tenant = TenantId::anonymous();
        let shipped = ShippedState { at_ms: -5, versions: BTreeMap::from([(tenant.clone(), 9)]) };
        let mut windows = Windows { last_number: 12, ..Windows::default() };
        windows.by_end.entry(7_200_000).or_default().cuts = vec![
            CutState {
                number: 11,
                term: 1,
                index: 5,
                at_ms: 1,
                shipped: Some(shipped),
                released: true,
            },
            CutState { number: 12, term: 1, index: 8, at_ms: 2, shipped: None, released: false },
        ];
        let metadata =
            Metadata { kind: MetricType::Counter, help: "how many".into(), unit: "".into() };
        let state = TenantManifest {
            max_time: i64::MIN,
            out_of_order: 0,
            released_at: 4,
            metadata: BTreeMap::from([("up".into(), vec![metadata])]),
            newest: vec![(3, -1)],
        };
        let tenants = BTreeMap::from([(tenant, state)]);
        let (chunks, series) = (vec![1, 9], vec![(9, 100)]);
        let manifest = Manifest {
            partition: 3,
            term: 1,
            index: 9,
            next_reference: 101,
            windows,
            tenants,
            chunks,
            series,
        };
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(0u8..6, 0..80)) {
            let _ = Manifest::decode(&bytes);
        }
    }
}
