//! A decompressed request that can be walked more than once: the first time
//! for all of it, again only for labels that turn out to be needed (a head
//! that forgot a reference, a refusal that is to be named).

use std::collections::{BTreeSet, HashMap};

use varve_api::Protocol;
use varve_model::Metadata;
use varve_wire::remote_write::{Budget, DecodeError, RawSeries, TenantFingerprints, v1, v2};

/// How much more than its body a request may take once decoded.
const DECODED_FACTOR: usize = 4;

/// Metric families and what they say of themselves.
pub(crate) type Families = Vec<(String, Metadata)>;

/// Names and values of one series, as sent.
pub(crate) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// A decompressed request.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) protocol: Protocol,
    pub(crate) fingerprints: TenantFingerprints,
    /// What the bytes may have been at most.
    pub(crate) limit: usize,
}

impl Body {
    /// Shows every series, with its position in the request; gives the
    /// metadata that stands beside the series (1.0 only).
    pub(crate) fn walk<'a>(
        &'a self,
        mut visit: impl FnMut(u32, &mut RawSeries<'a>, &mut Budget) -> Result<(), DecodeError>,
    ) -> Result<Families, DecodeError> {
        let mut budget = Budget::new(self.limit.saturating_mul(DECODED_FACTOR));
        let mut raw = RawSeries::default();
        let mut ordinal = 0;
        match self.protocol {
            Protocol::V1 => {
                let mut reader = v1::Reader::new(&self.bytes, self.fingerprints.clone());
                while reader.next(&mut raw, &mut budget)? {
                    visit(ordinal, &mut raw, &mut budget)?;
                    ordinal += 1;
                }
                Ok(reader.take_metadata())
            }
            Protocol::V2 => {
                let fingerprints = self.fingerprints.clone();
                let mut reader = v2::Reader::new(&self.bytes, fingerprints, &mut budget)?;
                while reader.next(&mut raw, &mut budget)? {
                    visit(ordinal, &mut raw, &mut budget)?;
                    ordinal += 1;
                }
                Ok(Vec::new())
            }
        }
    }

    /// Names and values of some series, by their position. A series whose
    /// labels cannot be read is not among them.
    pub(crate) fn labels(
        &self,
        wanted: &BTreeSet<u32>,
    ) -> Result<HashMap<u32, Pairs<'_>>, DecodeError> {
        let mut found = HashMap::with_capacity(wanted.len());
        if wanted.is_empty() {
            return Ok(found);
        }
        self.walk(|ordinal, raw, budget| {
            if wanted.contains(&ordinal)
                && let Ok(pairs) = raw.labels(budget)?
            {
                found.insert(ordinal, pairs);
            }
            Ok(())
        })?;
        Ok(found)
    }
}
