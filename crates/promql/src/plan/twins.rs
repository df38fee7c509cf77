//! Parts of a query that say the same: `a` in `a / (a + b)`.
//!
//! What a vector is follows from its text, the grid that it is evaluated on,
//! and what its selectors read: the text of one is without `smoothed`, and what
//! is around it may leave buckets of histograms out.

use std::collections::{HashMap, HashSet};
use std::mem::Discriminant;

use super::{Input, Lookup, Node, Op, PartId, Plan, RangeFrom, ScopeId};
use crate::ast::{Extended, Span, ValueType};

/// Parts that say the same, by their number.
pub(crate) type TwinId = usize;

/// One of several parts that say the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Twin {
    pub(crate) part: PartId,
    pub(crate) id: TwinId,
    /// Twins of other kinds within it. Only the first of its kind has any: what
    /// is within the others is not evaluated.
    pub(crate) within: Vec<Twin>,
}

/// The twins of a plan.
#[derive(Debug, Default)]
pub(crate) struct PlanTwins {
    /// In the order of the query.
    pub(crate) all: Vec<Twin>,
    /// How many there are of each kind.
    pub(crate) sizes: Vec<usize>,
}

impl PlanTwins {
    /// Those that are not the first of their kind.
    pub(crate) fn repeated(&self) -> HashSet<PartId> {
        let (mut repeated, mut seen) = (HashSet::new(), vec![false; self.sizes.len()]);
        let mut next: Vec<&Twin> = self.all.iter().rev().collect();
        while let Some(twin) = next.pop() {
            next.extend(twin.within.iter().rev());
            if std::mem::replace(&mut seen[twin.id], true) {
                repeated.insert(twin.part);
            }
        }
        repeated
    }
}

impl Plan {
    /// All twins of the plan of a query.
    pub(crate) fn twins(&self, query: &str) -> PlanTwins {
        let mut finder = Finder { query, seen: HashMap::new(), sizes: Vec::new() };
        let mut all = finder.node(&self.root);
        let mut kinds = vec![None; finder.sizes.len()];
        let mut sizes = Vec::new();
        for (kind, size) in kinds.iter_mut().zip(&finder.sizes) {
            if *size > 1 {
                *kind = Some(sizes.len());
                sizes.push(*size);
            }
        }
        keep(&mut all, &kinds);
        PlanTwins { all, sizes }
    }
}

/// Lets go of those that are alone, but not of what is within them.
fn keep(twins: &mut Vec<Twin>, kinds: &[Option<TwinId>]) {
    for mut twin in std::mem::take(twins) {
        keep(&mut twin.within, kinds);
        match kinds[twin.id] {
            Some(id) => twins.push(Twin { id, ..twin }),
            None => twins.append(&mut twin.within),
        }
    }
}

/// What makes a part what it is.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    text: &'a str,
    scope: ScopeId,
    /// Parts that are made of another one may stand at its place.
    op: Discriminant<Op>,
    /// What its selectors read.
    reads: Vec<Read>,
}

/// What a selector reads of the series that its text names.
#[derive(PartialEq, Eq, Hash)]
struct Read {
    lookup: Lookup,
    range: i64,
    extended: Option<Extended>,
    stats_only: bool,
}

/// Looks for them in the order of the query.
struct Finder<'a> {
    query: &'a str,
    seen: HashMap<Key<'a>, TwinId>,
    /// How many parts of each kind were found.
    sizes: Vec<usize>,
}

impl<'a> Finder<'a> {
    fn input(&mut self, input: Input<'_>) -> Vec<Twin> {
        match input {
            Input::Node(node) => self.node(node),
            Input::Range(source) => {
                source.subquery().map(|node| self.node(node)).unwrap_or_default()
            }
        }
    }

    /// A part as if it had a twin, or what is within a part that cannot have any.
    fn node(&mut self, node: &Node) -> Vec<Twin> {
        let (Span { start, end }, query) = (node.span, self.query);
        let text = query.get(start as usize..end as usize);
        let text = text.filter(|_| node.value_type == ValueType::Vector);
        let key = text.map(|text| {
            let mut all = Vec::new();
            reads(Input::Node(node), &mut all);
            let op = std::mem::discriminant(&node.op);
            Key { text, scope: node.scope, op, reads: all }
        });
        if let Some(id) = key.as_ref().and_then(|key| self.seen.get(key)) {
            self.sizes[*id] += 1;
            return vec![Twin { part: node.part, id: *id, within: Vec::new() }];
        }
        let within = node.inputs().into_iter().flat_map(|input| self.input(input)).collect();
        let Some(key) = key else { return within };
        let id = self.sizes.len();
        self.seen.insert(key, id);
        self.sizes.push(1);
        vec![Twin { part: node.part, id, within }]
    }
}

/// What all selectors of a part read.
fn reads(input: Input<'_>, all: &mut Vec<Read>) {
    match input {
        Input::Node(node) => {
            all.extend(node.selector().map(|s| Read {
                lookup: s.lookup,
                range: 0,
                extended: s.smoothed.then_some(Extended::Smoothed),
                stats_only: s.stats_only,
            }));
            node.inputs().into_iter().for_each(|input| reads(input, all));
        }
        Input::Range(source) => match source.from {
            RangeFrom::Series { stats_only, .. } => all.push(Read {
                lookup: source.lookup,
                range: source.range,
                extended: source.extended,
                stats_only,
            }),
            RangeFrom::Subquery(ref node) => reads(Input::Node(node), all),
        },
    }
}
