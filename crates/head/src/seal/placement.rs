//! Where the chunks of some series lie since a seal: which each replaces.
//!
//! Kept flat, since a seal places every series of a partition.

use crate::sealed::Row;

/// Series in the order in which they were sealed.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    series: Vec<Head>,
    merged: Vec<u32>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Head {
    reference: u64,
    taken: u32,
    merged: u32,
    rows: u32,
}

/// One series.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) reference: u64,
    /// Unsealed chunks that are in the file now, from the first on.
    pub(crate) taken: usize,
    /// Positions of sealed chunks that were merged into new ones, sorted.
    pub(crate) merged: &'a [u32],
    /// The new ones.
    pub(crate) rows: &'a [Row],
}

impl Placement {
    /// Begins a series; its rows follow.
    pub(crate) fn series(&mut self, reference: u64, taken: u32, merged: &[u32]) {
        self.merged.extend_from_slice(merged);
        let merged = merged.len() as u32;
        self.series.push(Head { reference, taken, merged, rows: 0 });
    }

    pub(crate) fn row(&mut self, row: Row) {
        if let Some(head) = self.series.last_mut() {
            head.rows += 1;
            self.rows.push(row);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Placed<'_>> {
        let (mut merged, mut rows) = (&self.merged[..], &self.rows[..]);
        self.series.iter().map(move |head| {
            let (m, rest) = merged.split_at(head.merged as usize);
            merged = rest;
            let (r, rest) = rows.split_at(head.rows as usize);
            rows = rest;
            Placed { reference: head.reference, taken: head.taken as usize, merged: m, rows: r }
        })
    }
}
