//! Which series are aggregated together.

use varve_model::{LabelMap, Labels, METRIC_NAME};

use super::super::row::Row;
use crate::plan::Aggregation;

/// The groups seen so far.
pub(super) struct Groups<'a> {
    aggregation: &'a Aggregation,
    index: LabelMap<usize>,
    /// The labels of the group that is looked for.
    wanted: Vec<u8>,
    groups: Vec<Group>,
}

struct Group {
    labels: Labels,
    /// The last step at which it has a sample.
    last: Option<usize>,
    /// Whether a series that has a sample at that step wants its name dropped:
    /// as in Prometheus, the last step decides.
    drop_name: bool,
}

impl<'a> Groups<'a> {
    pub(super) fn new(aggregation: &'a Aggregation) -> Self {
        Self { aggregation, index: LabelMap::default(), wanted: Vec::new(), groups: Vec::new() }
    }

    /// The group of a row, and whether it is a new one.
    pub(super) fn of(&mut self, row: &Row) -> (usize, bool) {
        self.wanted.clear();
        group_labels_into(self.aggregation, &row.labels, &mut self.wanted);
        let next = self.groups.len();
        let at = match self.index.get(self.wanted.as_slice()) {
            Some(at) => *at,
            None => {
                let labels = group_labels(self.aggregation, &row.labels);
                self.index.insert(labels.clone(), next);
                self.groups.push(Group { labels, last: None, drop_name: false });
                next
            }
        };
        let group = &mut self.groups[at];
        let last = (0..row.floats.len()).rev().find(|s| row.has(*s));
        if last >= group.last {
            group.drop_name = row.drop_name || last == group.last && group.drop_name;
            group.last = last;
        }
        (at, at == next)
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The labels of the groups, and whether their names are to be dropped.
    pub(super) fn into_labels(self) -> Vec<(Labels, bool)> {
        self.groups.into_iter().map(|g| (g.labels, g.drop_name)).collect()
    }
}

/// The labels of the group that a series belongs to.
pub(super) fn group_labels(a: &Aggregation, labels: &Labels) -> Labels {
    labels.filter(|name| is_of_group(a, name))
}

/// Appends the encoding of these labels.
fn group_labels_into(a: &Aggregation, labels: &Labels, out: &mut Vec<u8>) {
    if a.without || !a.grouping.is_empty() {
        labels.filter_into(|name| is_of_group(a, name), out);
    }
}

fn is_of_group(a: &Aggregation, name: &str) -> bool {
    let named = a.grouping.binary_search_by(|g| g.as_str().cmp(name)).is_ok();
    if a.without { name != METRIC_NAME && !named } else { named }
}
