//! Expressions as text, the way Prometheus prints them: parsing the text
//! gives the same tree. `Display` is one line, [`pretty`] breaks long ones.

mod duration;
mod pretty;

use std::fmt::{self, Display, Formatter, Write};

use varve_model::{METRIC_NAME, MatchOp, Matcher};

use crate::ast::{
    Aggregate, At, Binary, BinaryOp, Cardinality, Expr, ExprKind, Extended, RangeSelector, Shift,
    Subquery, UnaryOp, VectorMatching, VectorSelector,
};
use crate::number;
use crate::parse::{format_duration_ms, quote, quote_bytes};

pub use pretty::pretty;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, duration } => write_number(f, *value, *duration),
            ExprKind::String(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Selector(s) => Display::fmt(s, f),
            ExprKind::Range(r) => Display::fmt(r, f),
            ExprKind::Subquery(s) => write!(f, "{}{}", s.expr, Suffix(s)),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.func.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
                }
                f.write_char(')')
            }
            ExprKind::Aggregate(a) => {
                write_aggregate_head(f, a)?;
                f.write_char('(')?;
                if let Some(param) = &a.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", a.expr)
            }
            ExprKind::Binary(b) => {
                match b.lhs.kind {
                    // `+Inf ^ 2` would be read as `+(Inf ^ 2)`.
                    ExprKind::Number { value: f64::INFINITY, .. } if b.op == BinaryOp::Pow => {
                        f.write_str("Inf ")?;
                    }
                    _ => write!(f, "{} ", b.lhs)?,
                }
                write_operator(f, b)?;
                write!(f, " {}", b.rhs)
            }
            ExprKind::Unary(op, inner) => write!(f, "{}{inner}", sign(*op)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn sign(op: UnaryOp) -> char {
    match op {
        UnaryOp::Plus => '+',
        UnaryOp::Minus => '-',
    }
}

fn write_number(f: &mut Formatter<'_>, value: f64, duration: bool) -> fmt::Result {
    if duration {
        return f.write_str(&format_duration_ms((value * 1000.0).round() as i64));
    }
    match value {
        v if v.is_nan() => f.write_str("NaN"),
        f64::INFINITY => f.write_str("+Inf"),
        f64::NEG_INFINITY => f.write_str("-Inf"),
        v => f.write_str(&number::fixed(v)),
    }
}

/// `sum by (a, b) `: the operator and its grouping, with a space behind that.
fn write_aggregate_head(f: &mut Formatter<'_>, a: &Aggregate) -> fmt::Result {
    f.write_str(a.op.as_str())?;
    if a.without {
        write!(f, " without {} ", LabelList(&a.grouping))
    } else if !a.grouping.is_empty() {
        write!(f, " by {} ", LabelList(&a.grouping))
    } else {
        Ok(())
    }
}

/// `+ on (a) group_left (b)`
fn write_operator(f: &mut Formatter<'_>, b: &Binary) -> fmt::Result {
    f.write_str(b.op.as_str())?;
    if b.return_bool {
        f.write_str(" bool")?;
    }
    b.matching.as_ref().map_or(Ok(()), |m| write_matching(f, m))
}

fn write_matching(f: &mut Formatter<'_>, m: &VectorMatching) -> fmt::Result {
    let group = match m.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        _ => None,
    };
    if !m.labels.is_empty() || m.on || group.is_some() {
        let word = if m.on { "on" } else { "ignoring" };
        write!(f, " {word} {}", LabelList(&m.labels))?;
    }
    if let Some(side) = group {
        write!(f, " group_{side} {}", LabelList(&m.include))?;
    }
    match (m.fill_left, m.fill_right) {
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", Fill(left)),
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", Fill(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", Fill(right))?;
            }
            Ok(())
        }
    }
}

/// A fill value, as Go's `%v` shows floats: with an exponent below 1e-4 and from 1e6.
struct Fill(f64);

impl Display for Fill {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&number::general(self.0))
    }
}

/// `(a, "b.c")`
struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        for (i, label) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write_label_name(f, label)?;
        }
        f.write_char(')')
    }
}

/// A label name, quoted unless it is `[a-zA-Z_][a-zA-Z0-9_]*`.
fn write_label_name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name
        .bytes()
        .enumerate()
        .all(|(i, b)| b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()));
    if plain && !name.is_empty() { f.write_str(name) } else { f.write_str(&quote(name)) }
}

struct ShownMatcher<'a>(&'a Matcher);

impl Display for ShownMatcher<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_label_name(f, self.0.name())?;
        write!(f, "{}{}", self.0.op().as_str(), quote(self.0.value()))
    }
}

fn write_matchers(f: &mut Formatter<'_>, s: &VectorSelector) -> fmt::Result {
    f.write_str(&s.name)?;
    let is_name = |m: &&Matcher| {
        m.name() == METRIC_NAME
            && m.op() == MatchOp::Equal
            && m.value() == s.name
            && !m.value().is_empty()
    };
    let mut shown: Vec<String> =
        s.matchers.iter().filter(|m| !is_name(m)).map(|m| ShownMatcher(m).to_string()).collect();
    if shown.is_empty() {
        return Ok(());
    }
    shown.sort_unstable();
    write!(f, "{{{}}}", shown.join(","))
}

fn write_at(f: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    match shift.at {
        None => Ok(()),
        Some(At::Time(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_offset(f: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    shift.offset.as_ref().map_or(Ok(()), |d| write!(f, " offset {d}"))
}

fn write_extended(f: &mut Formatter<'_>, extended: Option<Extended>) -> fmt::Result {
    match extended {
        None => Ok(()),
        Some(Extended::Anchored) => f.write_str(" anchored"),
        Some(Extended::Smoothed) => f.write_str(" smoothed"),
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_matchers(f, self)?;
        write_at(f, &self.shift)?;
        write_extended(f, self.extended)?;
        write_offset(f, &self.shift)
    }
}

impl Display for RangeSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_matchers(f, &self.selector)?;
        write!(f, "[{}]", self.range)?;
        write_extended(f, self.selector.extended)?;
        write_at(f, &self.selector.shift)?;
        write_offset(f, &self.selector.shift)
    }
}

/// `[range:step] @ t offset d`
struct Suffix<'a>(&'a Subquery);

impl Display for Suffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            write!(f, "{step}")?;
        }
        f.write_char(']')?;
        write_at(f, &self.0.shift)?;
        write_offset(f, &self.0.shift)
    }
}
