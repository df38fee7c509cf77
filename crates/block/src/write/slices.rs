//! Which timestamp vectors are slices of longer ones.
//!
//! A series that appears while its target is scraped has the end of the
//! target's times; one that disappears has their beginning. Such a vector needs
//! no bytes of its own: a row names the longer one and where to begin.

use std::cmp::Reverse;

use super::times::Vector;
use crate::{BlockError, Result};

/// Vectors of equal end (or beginning) that a shorter one is held against.
const MAX_WHOLES: usize = 4;
/// A slice has at least one in so many of the times: readers decode the whole.
const MIN_SHARE: usize = 8;

/// Where a vector's times are: `from..` of vector `whole`, as many as it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) whole: u32,
    pub(super) from: u32,
}

/// For each vector, itself or a longer one that it ends or begins; no vector
/// that another one is a slice of is a slice itself. `read` decodes a vector
/// onto an empty one; it is called twice at most for each, and only for those
/// that share their last time or their first with another. Takes 12 bytes of
/// memory a vector.
pub(super) fn find(
    vectors: &[Vector],
    mut read: impl FnMut(u32, &mut Vec<i64>) -> Result<()>,
) -> Result<Vec<Slice>> {
    let all = 0..vectors.len() as u32;
    let mut slices: Vec<Slice> = all.clone().map(|whole| Slice { whole, from: 0 }).collect();
    let mut order: Vec<u32> = all.collect();
    let mut pass = |end: fn(&Vector) -> i64, from: fn(&[i64], &[i64]) -> Option<usize>| {
        order.retain(|v| slices[*v as usize].whole == *v);
        let of = |v: u32| &vectors[v as usize];
        order.sort_unstable_by_key(|v| (end(of(*v)), Reverse(of(*v).count), *v));
        for group in order.chunk_by(|a, b| end(of(*a)) == end(of(*b))) {
            if group.len() < 2 {
                continue;
            }
            let mut wholes: Vec<(u32, Vec<i64>)> = Vec::new();
            for v in group {
                let mut times = Vec::new();
                read(*v, &mut times)?;
                let mut long = wholes.iter().filter(|w| times.len() * MIN_SHARE >= w.1.len());
                let found = long.find_map(|(w, whole)| Some((*w, from(whole, &times)?)));
                if let Some((whole, from)) = found {
                    slices[*v as usize] = Slice { whole, from: from as u32 };
                } else if wholes.len() < MAX_WHOLES {
                    wholes.push((*v, times));
                }
            }
        }
        Ok::<(), BlockError>(())
    };
    let end_of =
        |whole: &[i64], part: &[i64]| whole.ends_with(part).then(|| whole.len() - part.len());
    pass(|v| v.last, end_of)?;
    pass(|v| v.first, |whole, part| whole.starts_with(part).then_some(0))?;
    // The second pass may have found a whole for a whole of the first.
    for v in 0..slices.len() {
        let Slice { whole, from } = slices[v];
        let outer = slices[whole as usize];
        if whole as usize != v {
            slices[v] = Slice { whole: outer.whole, from: outer.from + from };
        }
    }
    Ok(slices)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find_in(lists: &[Vec<i64>]) -> Vec<Slice> {
        let vector = |times: &Vec<i64>| Vector {
            offset: 0,
            len: 0,
            count: times.len() as u32,
            users: 1,
            first: times[0],
            last: times[times.len() - 1],
        };
        let vectors: Vec<Vector> = lists.iter().map(vector).collect();
        let read = |v: u32, out: &mut Vec<i64>| {
            out.extend_from_slice(&lists[v as usize]);
            Ok(())
        };
        find(&vectors, read).unwrap()
    }

    #[test]
    fn ends_and_beginnings_are_found() {
        let check = |lists: &[&[i64]], expected: &[(u32, u32)]| {
            let lists: Vec<Vec<i64>> = lists.iter().map(|l| l.to_vec()).collect();
            let found: Vec<(u32, u32)> =
                find_in(&lists).iter().map(|s| (s.whole, s.from)).collect();
            assert_eq!(found, expected, "{lists:?}");
        };
        check(&[], &[]);
        check(&[&[1, 2, 3], &[4, 5]], &[(0, 0), (1, 0)]);
        check(&[&[2, 3], &[1, 2, 3], &[1, 2]], &[(1, 1), (1, 0), (1, 0)]);
        check(&[&[1, 3], &[1, 2, 3]], &[(0, 0), (1, 0)]);
        // The end of a beginning.
        check(&[&[2, 3], &[1, 2, 3], &[1, 2, 3, 4]], &[(2, 1), (2, 0), (2, 0)]);
        check(&[&[3, 4, 9], &[1, 4, 9], &[4, 9]], &[(0, 0), (1, 0), (0, 1)]);
        // Too short a part.
        check(&[&[1, 2, 3, 4, 5, 6, 7, 8], &[8]], &[(0, 0), (0, 7)]);
        check(&[&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[9]], &[(0, 0), (1, 0)]);
    }

    proptest! {
        #[test]
        fn a_slice_is_what_it_says(
            lists in prop::collection::vec((0i64..6, 1i64..6, 0i64..40), 0..30)
        ) {
            let mut lists: Vec<Vec<i64>> = lists
                .into_iter()
                .map(|(first, len, hole)| (first..first + len).filter(|t| *t != hole).collect())
                .filter(|l: &Vec<i64>| !l.is_empty())
                .collect();
            lists.sort();
            lists.dedup();
            let found = find_in(&lists);
            for (list, slice) in lists.iter().zip(&found) {
                let (whole, from) = (slice.whole as usize, slice.from as usize);
                prop_assert_eq!(&lists[whole][from..from + list.len()], &list[..]);
                prop_assert_eq!(found[whole], Slice { whole: slice.whole, from: 0 });
            }
        }
    }
}
