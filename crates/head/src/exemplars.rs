//! Exemplars of one series: an uncoded buffer and its coding.
//!
//! They travel like samples (buffer, chunk, sealed file, cut), in a coding of
//! their own: per exemplar time delta, value bits, labels.

use varve_model::{Exemplar, Labels};

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};

/// The most exemplars that one coded chunk holds.
const MAX: usize = 1 << 16;

/// Uncoded exemplars in the order in which they were applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExemplarBuffer {
    pub(crate) items: Vec<Exemplar>,
    /// Index of the last log entry that added one.
    pub(crate) last_index: u64,
}

impl ExemplarBuffer {
    /// Bytes of memory behind the buffer, itself included.
    pub(crate) fn memory(&self) -> usize {
        let labels: usize = self.items.iter().map(|e| e.labels.memory()).sum();
        size_of::<Self>() + self.items.capacity() * size_of::<Exemplar>() + labels
    }
}

/// Whether two exemplars are the same data, bit by bit.
pub(crate) fn same(a: &Exemplar, b: &Exemplar) -> bool {
    a.timestamp == b.timestamp && a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
}

/// Sorts by time, then content, and drops what is there twice.
pub(crate) fn sort(items: &mut Vec<Exemplar>) {
    items.sort_by(|a, b| {
        let key = |e: &Exemplar| (e.timestamp, e.value.to_bits());
        key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
    });
    items.dedup_by(|a, b| same(a, b));
}

/// Codes exemplars.
pub(crate) fn encode(items: &[Exemplar], out: &mut Vec<u8>) {
    put_u64(out, items.len() as u64);
    let mut previous = 0i64;
    for e in items {
        put_i64(out, e.timestamp.wrapping_sub(previous));
        previous = e.timestamp;
        out.extend_from_slice(&e.value.to_bits().to_le_bytes());
        put_bytes(out, e.labels.as_bytes());
    }
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Exemplar>, Malformed> {
    let mut r = Reader::new(bytes);
    let count = r.count(10)?;
    if count > MAX {
        return Err(r.fail("too many exemplars"));
    }
    let mut previous = 0i64;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let timestamp = previous.wrapping_add(r.i64()?);
        previous = timestamp;
        let value = f64::from_bits(r.fixed_u64()?);
        let at = r.fail("exemplar labels are none");
        let labels = Labels::from_bytes(r.bytes()?).map_err(|_| at)?;
        items.push(Exemplar { labels, value, timestamp });
    }
    r.end()?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(items in proptest::collection::vec((any::<i64>(), any::<u64>(), "[a-z]{0,3}"), 0..9)) {
            let items: Vec<Exemplar> = items
                .into_iter()
                .map(|(timestamp, bits, id)| {
                    let labels = Labels::from_pairs([("trace_id", id)]).expect("labels");
                    Exemplar { labels, value: f64::from_bits(bits), timestamp }
                })
                .collect();
            let mut out = Vec::new();
            encode(&items, &mut out);
            let back = decode(&out).expect("decodes");
            prop_assert_eq!(back.len(), items.len());
            prop_assert!(back.iter().zip(&items).all(|(a, b)| same(a, b)));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
