//! Which series are aggregated together.

use std::collections::HashMap;

use varve_model::{Labels, METRIC_NAME};

use super::super::row::Row;
use crate::plan::Aggregation;

/// The groups seen so far.
pub(super) struct Groups<'a> {
    aggregation: &'a Aggregation,
    index: HashMap<Labels, usize>,
    labels: Vec<(Labels, bool)>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(aggregation: &'a Aggregation) -> Self {
        Self { aggregation, index: HashMap::new(), labels: Vec::new() }
    }

    /// The group of a row, and whether it is a new one.
    pub(super) fn of(&mut self, row: &Row) -> (usize, bool) {
        let labels = group_labels(self.aggregation, &row.labels);
        let next = self.labels.len();
        let group = *self.index.entry(labels.clone()).or_insert(next);
        if group == next {
            self.labels.push((labels, row.drop_name));
        }
        self.labels[group].1 |= row.drop_name;
        (group, group == next)
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The labels of the groups, and whether their names are to be dropped.
    pub(super) fn into_labels(self) -> Vec<(Labels, bool)> {
        self.labels
    }
}

/// The labels of the group that a series belongs to.
pub(super) fn group_labels(a: &Aggregation, labels: &Labels) -> Labels {
    let named = |name: &str| a.grouping.binary_search_by(|g| g.as_str().cmp(name)).is_ok();
    match a.without {
        true => labels.filter(|name| name != METRIC_NAME && !named(name)),
        false if a.grouping.is_empty() => Labels::empty(),
        false => labels.filter(named),
    }
}
