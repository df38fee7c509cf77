//! The selectors of a plan: what it reads from storage.

use varve_model::{Matcher, TimeRange};

use super::{Grid, Input, PartId, Plan, RangeFrom};

/// What one selector reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf<'a> {
    pub(crate) part: PartId,
    pub(crate) matchers: &'a [Matcher],
    pub(crate) range: TimeRange,
}

impl Plan {
    /// All selectors, but those that `info` makes of what it finds.
    pub(crate) fn leaves(&self) -> Vec<Leaf<'_>> {
        let mut leaves = Vec::new();
        find(Input::Node(&self.root), self.root.grid, &mut leaves);
        leaves
    }
}

fn find<'a>(input: Input<'a>, grid: Grid, leaves: &mut Vec<Leaf<'a>>) {
    match input {
        Input::Node(node) => {
            if let Some(s) = node.selector().filter(|_| node.grid.steps > 0) {
                let (part, matchers, range) = (node.part, &*s.matchers, s.fetch(&node.grid));
                leaves.push(Leaf { part, matchers, range });
            }
            node.inputs().into_iter().for_each(|input| find(input, node.grid, leaves));
        }
        Input::Range(source) => match &source.from {
            RangeFrom::Series { matchers, .. } if grid.steps > 0 => {
                let (part, range) = (source.part, source.fetch(&grid));
                leaves.push(Leaf { part, matchers, range });
            }
            RangeFrom::Series { .. } => {}
            RangeFrom::Subquery(node) => find(Input::Node(node), node.grid, leaves),
        },
    }
}
