//! References of series in rising order, coded as the steps between them.
//!
//! The series of one pod are created together, so that most steps take one
//! byte. References are appended; removing codes the list anew.

use crate::codec::put_u64;

/// A sorted list of references.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postings {
    bytes: Vec<u8>,
    last: u64,
    count: u32,
}

impl Postings {
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// The highest reference; 0 when there is none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Adds a reference higher than all before.
    pub(crate) fn push(&mut self, reference: u64) {
        if self.bytes.capacity() - self.bytes.len() < 10 {
            // Little spare room: there are many short lists.
            self.bytes.reserve_exact(2.max(self.bytes.len() / 8));
        }
        put_u64(&mut self.bytes, reference - self.last);
        self.last = reference;
        self.count += 1;
    }

    /// The references, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let mut rest = self.bytes.iter();
        let mut last = 0u64;
        (0..self.count).map_while(move |_| {
            let (mut step, mut shift) = (0u64, 0);
            loop {
                let byte = *rest.next()?;
                step |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            last += step;
            Some(last)
        })
    }

    /// The references that are not in `gone`, which is sorted.
    pub(crate) fn without(&self, gone: impl Iterator<Item = u64>) -> Self {
        let mut out = Self::default();
        let mut gone = gone.peekable();
        for reference in self.iter() {
            while gone.next_if(|g| *g < reference).is_some() {}
            if gone.peek() != Some(&reference) {
                out.push(reference);
            }
        }
        out.bytes.shrink_to_fit();
        out
    }

    /// Bytes of memory behind the list, itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_sorted_set(
            there in proptest::collection::btree_set(any::<u64>(), 0..40),
            others in proptest::collection::btree_set(any::<u64>(), 0..4),
            keep in any::<u64>(),
        ) {
            let mut list = Postings::default();
            there.iter().for_each(|r| list.push(*r));
            prop_assert_eq!(&list.iter().collect::<BTreeSet<_>>(), &there);
            prop_assert_eq!(list.len(), there.len());
            let gone: BTreeSet<u64> =
                there.iter().copied().filter(|r| r % 3 == keep % 3).chain(others).collect();
            let left = list.without(gone.iter().copied());
            prop_assert_eq!(left.iter().collect::<BTreeSet<_>>(), &there - &gone);
        }
    }
}
