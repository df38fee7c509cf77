//! Which column a bucket's counts lie in: encoder and decoder number the
//! columns alike, from the layouts alone.
//!
//! Layouts of one schema (or of the same custom bounds) and one kind of counts
//! share the column of a bucket index. A side whose spans do not name its
//! counts one by one has columns of its own.

use std::collections::HashMap;

use super::layout::{self, Layout, Side};

/// The columns of a layout's buckets, in bucket order.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) positive: Vec<u32>,
    pub(super) negative: Vec<u32>,
}

/// The columns of a frame.
#[derive(Debug)]
pub(super) struct Columns {
    /// For each layout.
    pub(super) slots: Vec<Slots>,
    /// For each column, whether it holds float counts.
    pub(super) float: Vec<bool>,
}

/// What buckets must have in common to be the same ones.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Space<'a> {
    float: bool,
    schema: i32,
    bounds: &'a [u64],
    negative: bool,
    /// The layout, if the side is not regular.
    own: Option<usize>,
}

impl Columns {
    /// Numbers the columns of a frame with these layouts.
    pub(super) fn of(layouts: &[Layout]) -> Self {
        let mut spaces: HashMap<Space<'_>, HashMap<i64, u32>> = HashMap::new();
        let mut float = Vec::new();
        let mut slots = Vec::with_capacity(layouts.len());
        for (number, layout) in layouts.iter().enumerate() {
            let mut assign = |side: &Side, negative: bool| -> Vec<u32> {
                let regular = side.regular();
                let space = Space {
                    float: layout.float,
                    schema: layout.schema,
                    bounds: &layout.bounds,
                    negative,
                    own: (!regular).then_some(number),
                };
                let numbers = spaces.entry(space).or_default();
                let mut column = |index: i64| {
                    *numbers.entry(index).or_insert_with(|| {
                        float.push(layout.float);
                        (float.len() - 1) as u32
                    })
                };
                if regular {
                    layout::indexes(&side.spans).map(&mut column).collect()
                } else {
                    (0..side.len as i64).map(&mut column).collect()
                }
            };
            let positive = assign(&layout.positive, false);
            let negative = assign(&layout.negative, true);
            slots.push(Slots { positive, negative });
        }
        Self { slots, float }
    }
}
