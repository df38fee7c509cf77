//! Arithmetic, comparison and trim operators between two vectors.
//!
//! Every pair of series that share the labels matched on becomes one row. The
//! errors are those of Prometheus (promql/engine.go `VectorBinop`), which it
//! finds step by step: of all that would be found, the earliest is told.

use std::collections::HashMap;

use varve_model::{LabelMap, Labels, is_metadata_label};

use super::cell::{Note, Outcome, apply};
use super::signature;
use crate::ast::Cardinality;
use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::{Cell, Row};
use crate::eval::stream::merge_same;
use crate::plan::{Node, VectorBinary, changes_schema};

const EXPLICIT: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// Series that share the labels matched on, by index.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// A pair of series, one of which may be made up by a fill value.
struct Pair {
    many: Option<usize>,
    one: Option<usize>,
    labels: Labels,
}

struct Combine<'a> {
    b: &'a VectorBinary,
    many: &'a [Row],
    one: &'a [Row],
    /// Whether the many are the right operand.
    swapped: bool,
    /// At which steps anything is matched at all.
    active: Vec<bool>,
    /// The earliest error.
    failure: Option<(usize, usize, String)>,
    /// The last note of each step, and the order of the series it is of.
    notes: Vec<Option<(usize, Note)>>,
    /// Whether names are dropped at once.
    drop_name: bool,
}

/// The rows of an operator between two vectors.
pub(super) fn combine(
    ctx: &Context<'_>,
    node: &Node,
    b: &VectorBinary,
    lhs: &[Row],
    rhs: &[Row],
) -> Result<Vec<Row>, EngineError> {
    let steps = node.grid.steps;
    let swapped = b.matching.card == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let _room = ctx.room(many.len() + one.len(), steps)?;
    let filled = b.matching.fill_left.is_some() || b.matching.fill_right.is_some();
    let any = |rows: &[Row], step| rows.iter().any(|r| r.has(step));
    let active = (0..steps).map(|s| match filled {
        true => any(many, s) || any(one, s),
        false => any(many, s) && any(one, s),
    });
    let mut combine = Combine {
        b,
        many,
        one,
        swapped,
        active: active.collect(),
        failure: None,
        notes: vec![None; steps],
        drop_name: b.return_bool && !ctx.options.delayed_name_removal,
    };
    let mut rows = Vec::with_capacity(many.len());
    for (matched, group) in combine.groups() {
        combine.group(ctx, &matched, &group, &mut rows)?;
    }
    if let Some((_, _, message)) = combine.failure {
        return Err(EngineError::execution(message));
    }
    for (_, note) in combine.notes.into_iter().flatten() {
        ctx.annotate(note.annotation(b.op, node.span));
    }
    rows.retain(|r| !r.is_empty());
    match node.grid.is_instant() && ctx.options.delayed_name_removal {
        true => Ok(rows),
        false => merge_same(rows),
    }
}

impl Combine<'_> {
    /// The groups, in order of their first series.
    fn groups(&self) -> Vec<(Labels, Group)> {
        let mut index: LabelMap<usize> = LabelMap::default();
        let mut groups: Vec<(Labels, Group)> = Vec::new();
        let mut at = |labels: &Labels, groups: &mut Vec<(Labels, Group)>| {
            let signature = signature(labels, &self.b.matching);
            *index.entry(signature.clone()).or_insert_with(|| {
                groups.push((signature, Group::default()));
                groups.len() - 1
            })
        };
        for (i, row) in self.many.iter().enumerate() {
            let g = at(&row.labels, &mut groups);
            groups[g].1.many.push(i);
        }
        for (i, row) in self.one.iter().enumerate() {
            let g = at(&row.labels, &mut groups);
            groups[g].1.one.push(i);
        }
        groups
    }

    /// Takes note of a failure; `rank` says which of a step is met first.
    fn fail(&mut self, step: usize, rank: usize, message: impl FnOnce() -> String) {
        if self.failure.as_ref().is_none_or(|(s, r, _)| (step, rank) < (*s, *r)) {
            self.failure = Some((step, rank, message()));
        }
    }

    /// Pairs the series of one group and evaluates the pairs.
    fn group(
        &mut self,
        ctx: &Context<'_>,
        matched: &Labels,
        group: &Group,
        rows: &mut Vec<Row>,
    ) -> Result<(), EngineError> {
        self.check_one(matched, group);
        let pairs = self.pairs(matched, group);
        // What is matched at each step: anything (one to one), or these labels.
        let steps = self.active.len();
        let one_to_one = self.b.matching.card == Cardinality::OneToOne;
        let mut done = vec![false; steps];
        let mut same: HashMap<&Labels, Vec<bool>> = HashMap::new();
        let twins = |p: &Pair| pairs.iter().filter(|q| q.labels == p.labels).count() > 1;
        for (order, pair) in pairs.iter().enumerate() {
            ctx.check()?;
            let track = !one_to_one && group.many.len() > 1 && twins(pair);
            let mut row = Row::empty(pair.labels.clone(), steps);
            row.drop_name = self.b.return_bool;
            for step in 0..steps {
                let Some((many, one)) = self.cells(group, pair, step, &done) else { continue };
                let (l, r) = if self.swapped { (one, many) } else { (many, one) };
                let applied = apply(self.b.op, l, r);
                let order = pair.many.unwrap_or(self.many.len() + order);
                let last = self.notes[step].is_none_or(|(before, _)| before <= order);
                if let Some(note) = applied.note.filter(|_| last) {
                    self.notes[step] = Some((order, note));
                }
                let Some(outcome) = applied.outcome else { continue };
                if one_to_one && done[step] {
                    self.fail(step, usize::MAX, || EXPLICIT.to_owned());
                }
                done[step] = true;
                if track {
                    let seen = same.entry(&pair.labels).or_insert_with(|| vec![false; steps]);
                    if std::mem::replace(&mut seen[step], true) {
                        self.fail(step, usize::MAX, || UNIQUE.to_owned());
                    }
                }
                match (outcome, self.b.return_bool, applied.keep) {
                    (_, true, keep) => row.floats[step] = f64::from(u8::from(keep)),
                    (_, false, false) => {}
                    (Outcome::Float(v), false, true) => row.floats[step] = v,
                    (Outcome::Histogram(h), false, true) => row.set_histogram(step, h),
                }
            }
            rows.push(row);
        }
        Ok(())
    }

    /// The one side has to be unique at every step.
    fn check_one(&mut self, matched: &Labels, group: &Group) {
        if group.one.len() < 2 {
            return;
        }
        for step in 0..self.active.len() {
            let one = self.one;
            let mut present = group.one.iter().filter(|i| one[**i].has(step));
            let (Some(a), Some(b)) = (present.next(), present.next()) else { continue };
            if !self.active[step] {
                continue;
            }
            let side = if self.swapped { "left" } else { "right" };
            // The one side is gone through first: the first to be there already fails.
            self.fail(step, *b, || {
                let mut names = [one[*a].labels.to_string(), one[*b].labels.to_string()];
                names.sort();
                let [a, b] = names;
                format!(
                    "found duplicate series for the match group {matched} on the {side} hand-side of the operation: [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
                )
            });
        }
    }

    /// All pairs of a group: of its series, then with fill values.
    fn pairs(&self, matched: &Labels, group: &Group) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for m in &group.many {
            let many = &self.many[*m].labels;
            for o in &group.one {
                let labels = self.result(many, &self.one[*o].labels);
                pairs.push(Pair { many: Some(*m), one: Some(*o), labels });
            }
            if self.b.matching.fill_right.is_some() {
                let labels = self.result(many, matched);
                pairs.push(Pair { many: Some(*m), one: None, labels });
            }
        }
        if self.b.matching.fill_left.is_some() {
            for o in &group.one {
                let labels = self.result(matched, &self.one[*o].labels);
                pairs.push(Pair { many: None, one: Some(*o), labels });
            }
        }
        pairs
    }

    /// The samples of a pair at a step, fill values included.
    fn cells(
        &self,
        group: &Group,
        pair: &Pair,
        step: usize,
        done: &[bool],
    ) -> Option<(Cell<'_>, Cell<'_>)> {
        if !self.active[step] {
            return None;
        }
        let many = pair.many.map(|m| self.many[m].cell(step));
        let one = pair.one.map(|o| self.one[o].cell(step));
        let (many, one) = match (many, one) {
            (Some(many), Some(one)) => (many, one),
            (Some(many), None) => {
                let missing = !group.one.iter().any(|o| self.one[*o].has(step));
                (many, missing.then_some(Cell::Float(self.b.matching.fill_right?))?)
            }
            (None, one) => {
                let missing = !done[step];
                (missing.then_some(Cell::Float(self.b.matching.fill_left?))?, one?)
            }
        };
        match (many, one) {
            (Cell::Absent, _) | (_, Cell::Absent) => None,
            cells => Some(cells),
        }
    }

    /// The labels of a result.
    fn result(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.b.matching;
        let named = |name: &str| matching.labels.iter().any(|l| l == name);
        let drop_schema = self.drop_name || changes_schema(self.b.op);
        let one_to_one = matching.card == Cardinality::OneToOne;
        let labels = many.filter(|name| {
            !(drop_schema && is_metadata_label(name)) && (!one_to_one || matching.on == named(name))
        });
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.builder();
        for name in &matching.include {
            builder.set(name, one.get(name));
        }
        builder.build()
    }
}
