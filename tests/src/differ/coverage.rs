//! What of the language a run has asked, and how often that had data.

use std::collections::BTreeMap;

use varve_promql::ast::{
    AggregateOp, At, BinaryOp, Cardinality, DurationExpr, DurationKind, Expr, ExprKind, Extended,
    Shift, UnaryOp, VectorSelector,
};
use varve_promql::functions;

use super::query::parts;

/// Forms of the language that are neither functions nor operators.
const FORMS: [&str; 38] = [
    "number",
    "duration as number",
    "string",
    "selector",
    "range",
    "subquery",
    "subquery without step",
    "parentheses",
    "unary -",
    "unary +",
    "@ time",
    "@ start()",
    "@ end()",
    "offset",
    "anchored",
    "smoothed",
    "duration literal",
    "duration step()",
    "duration range()",
    "duration min_of",
    "duration max_of",
    "duration unary",
    "duration operator",
    "duration parentheses",
    "matcher =",
    "matcher !=",
    "matcher =~",
    "matcher !~",
    "by",
    "without",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
];

/// How often each part of the language was asked.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<String, Count>,
}

/// How often, and how often with an answer that held something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Queries that held it.
    pub asked: u64,
    /// Of these, those whose answer had data.
    pub with_data: u64,
}

impl Coverage {
    /// Every function, aggregation, operator and form that there is.
    pub fn all() -> Vec<String> {
        let functions = functions::all().iter().map(|f| format!("{}()", f.name));
        let aggregations = AggregateOp::ALL.iter().map(|op| op.as_str().to_owned());
        let operators = BinaryOp::ALL.iter().map(|op| op.as_str().to_owned());
        functions.chain(aggregations).chain(operators).chain(FORMS.map(str::to_owned)).collect()
    }

    /// Takes note of one query.
    pub fn add(&mut self, expr: &Expr, with_data: bool) {
        let mut found = Found(Vec::new());
        parts(expr).into_iter().for_each(|e| found.expr(e));
        found.0.sort_unstable();
        found.0.dedup();
        for name in found.0 {
            let count = self.counts.entry(name).or_default();
            count.asked += 1;
            count.with_data += u64::from(with_data);
        }
    }

    /// Adds what another has noted.
    pub fn merge(&mut self, other: &Self) {
        for (name, more) in &other.counts {
            let count = self.counts.entry(name.clone()).or_default();
            count.asked += more.asked;
            count.with_data += more.with_data;
        }
    }

    /// What was asked less than `times` times with data.
    pub fn lacking(&self, times: u64) -> Vec<String> {
        let few = |name: &String| self.counts.get(name).is_none_or(|c| c.with_data < times);
        Self::all().into_iter().filter(few).collect()
    }

    /// What has data least often: name, asked, with data.
    pub fn poorest(&self, n: usize) -> Vec<(String, Count)> {
        let mut all: Vec<_> = self.counts.iter().map(|(k, v)| (k.clone(), *v)).collect();
        all.sort_by(|a, b| {
            let share = |c: &Count| c.with_data as f64 / c.asked as f64;
            share(&a.1).total_cmp(&share(&b.1))
        });
        all.truncate(n);
        all
    }
}

struct Found(Vec<String>);

impl Found {
    fn note(&mut self, name: impl Into<String>) {
        self.0.push(name.into());
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number { duration, .. } => {
                self.note(if *duration { "duration as number" } else { "number" });
            }
            ExprKind::String(_) => self.note("string"),
            ExprKind::Selector(s) => {
                self.note("selector");
                self.selector(s);
            }
            ExprKind::Range(r) => {
                self.note("range");
                self.selector(&r.selector);
                self.duration(&r.range);
            }
            ExprKind::Subquery(s) => {
                self.note(if s.step.is_some() { "subquery" } else { "subquery without step" });
                self.duration(&s.range);
                s.step.iter().for_each(|d| self.duration(d));
                self.shift(&s.shift);
            }
            ExprKind::Call(c) => self.note(format!("{}()", c.func.name)),
            ExprKind::Aggregate(a) => {
                self.note(a.op.as_str());
                if a.without {
                    self.note("without");
                } else if !a.grouping.is_empty() {
                    self.note("by");
                }
            }
            ExprKind::Binary(b) => {
                self.note(b.op.as_str());
                if b.return_bool {
                    self.note("bool");
                }
                if let Some(m) = &b.matching {
                    self.matching(m);
                }
            }
            ExprKind::Unary(UnaryOp::Minus, _) => self.note("unary -"),
            ExprKind::Unary(UnaryOp::Plus, _) => self.note("unary +"),
            ExprKind::Paren(_) => self.note("parentheses"),
        }
    }

    fn matching(&mut self, m: &varve_promql::ast::VectorMatching) {
        if m.explicit {
            self.note(if m.on { "on" } else { "ignoring" });
        }
        match m.card {
            Cardinality::ManyToOne => self.note("group_left"),
            Cardinality::OneToMany => self.note("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => {}
        }
        match (m.fill_left, m.fill_right) {
            (Some(l), Some(r)) if l.to_bits() == r.to_bits() => self.note("fill"),
            (l, r) => {
                l.iter().for_each(|_| self.note("fill_left"));
                r.iter().for_each(|_| self.note("fill_right"));
            }
        }
    }

    fn selector(&mut self, s: &VectorSelector) {
        s.matchers.iter().for_each(|m| self.note(format!("matcher {}", m.op().as_str())));
        self.shift(&s.shift);
        match s.extended {
            Some(Extended::Anchored) => self.note("anchored"),
            Some(Extended::Smoothed) => self.note("smoothed"),
            None => {}
        }
    }

    fn shift(&mut self, shift: &Shift) {
        match shift.at {
            Some(At::Time(_)) => self.note("@ time"),
            Some(At::Start) => self.note("@ start()"),
            Some(At::End) => self.note("@ end()"),
            None => {}
        }
        if let Some(offset) = &shift.offset {
            self.note("offset");
            self.duration(offset);
        }
    }

    fn duration(&mut self, d: &DurationExpr) {
        let (name, inner): (_, Vec<&DurationExpr>) = match &d.kind {
            DurationKind::Literal { .. } => ("literal", vec![]),
            DurationKind::Step => ("step()", vec![]),
            DurationKind::Range => ("range()", vec![]),
            DurationKind::Min(a, b) => ("min_of", vec![a, b]),
            DurationKind::Max(a, b) => ("max_of", vec![a, b]),
            DurationKind::Unary(_, a) => ("unary", vec![a]),
            DurationKind::Binary(_, a, b) => ("operator", vec![a, b]),
            DurationKind::Paren(a) => ("parentheses", vec![a]),
        };
        self.note(format!("duration {name}"));
        inner.into_iter().for_each(|d| self.duration(d));
    }
}
