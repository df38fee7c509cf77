//! Random queries of the whole language over the data of a seed.
//!
//! A typed grammar: each production knows what it gives (scalar, instant
//! vector, range vector) and asks its operands for what fits, so that nearly
//! all queries are valid and most have an answer. Functions come from
//! [`varve_promql::functions`]'s table, aggregations and operators from the
//! syntax tree's lists: what is added to the language is asked from then on.

mod broken;
mod call;
mod expr;
mod selector;

use varve_promql::ast::{Expr, ExprKind};
use varve_promql::parse::Options;

use super::data::Data;
use super::random::Random;

/// A query and when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The expression.
    pub text: String,
    /// First step in milliseconds; the only one of an instant query.
    pub start: i64,
    /// Last step at most, in milliseconds.
    pub end: i64,
    /// Milliseconds between steps; 0 for an instant query.
    pub step: i64,
    /// How far back an instant selector looks, in milliseconds, when not as by default.
    pub lookback: Option<i64>,
}

impl Query {
    /// The query of this number over the data of a seed.
    pub fn random(data: &Data, seed: u64, number: u64, options: &Options) -> Self {
        let random = Random::new(seed, 1000 + number);
        let mut g = Generator {
            random,
            one_shift: false,
            unpinned: false,
            options: options.clone(),
            start: data.start,
            end: data.end,
        };
        let depth = 1 + g.random.weighted(&[3, 4, 3, 1]) as u32;
        let instant = g.random.percent(45);
        let text = match g.random.weighted(&[80, 8, 6, 1]) {
            0 => g.vector(depth, None).text,
            1 => g.scalar(depth).text,
            2 if instant => g.matrix(depth, None, &[]),
            2 => g.vector(depth, None).text,
            _ => g.string(),
        };
        let text = if g.random.percent(6) { g.noise(&text) } else { text };
        let (start, end, step) = g.times(instant);
        let lookback = g.random.percent(5).then(|| g.random.choose(&[1, 30_000, 600_000]));
        Self { text, start, end, step, lookback }
    }

    /// A query with mistakes, most likely refused.
    pub fn broken(data: &Data, seed: u64, number: u64, options: &Options) -> Self {
        let whole = Self::random(data, seed, number, options);
        let mut random = Random::new(seed, 2_000_000 + number);
        Self { text: broken::broken(&mut random, &whole.text), ..whole }
    }

    /// The path and the parameters by which the API is asked for it.
    pub fn request(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let mut params = vec![("query", self.text.clone())];
        let path = if self.step == 0 {
            params.push(("time", seconds(self.start)));
            "/api/v1/query"
        } else {
            params.push(("start", seconds(self.start)));
            params.push(("end", seconds(self.end)));
            params.push(("step", seconds(self.step)));
            "/api/v1/query_range"
        };
        if let Some(lookback) = self.lookback {
            params.push(("lookback_delta", seconds(lookback)));
        }
        (path, params)
    }
}

/// How tightly a piece of text binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// Selectors, calls, numbers, what stands in parentheses.
    Atom,
    /// `-x`, `a + b`
    Loose,
}

/// A piece of a query.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    binding: Binding,
}

impl Piece {
    fn atom(text: impl Into<String>) -> Self {
        Self { text: text.into(), binding: Binding::Atom }
    }

    fn loose(text: impl Into<String>) -> Self {
        Self { text: text.into(), binding: Binding::Loose }
    }

    /// In parentheses unless it is an atom.
    fn closed(self) -> String {
        if self.binding == Binding::Atom { self.text } else { format!("({})", self.text) }
    }
}

/// What an expression should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Float,
    Counter,
    Histogram,
    /// Classic buckets.
    Bucket,
    Mixed,
}

struct Generator {
    random: Random,
    /// A selector gets `offset` or `@`, not both.
    one_shift: bool,
    /// Nothing gets an `@`.
    unpinned: bool,
    options: Options,
    start: i64,
    end: i64,
}

impl Generator {
    /// A time at which there are data, or nearly so.
    fn time(&mut self) -> i64 {
        let time = self.random.between(self.start + 120_000, self.end + 200_000);
        if self.random.percent(60) { time / 15_000 * 15_000 } else { time }
    }

    /// Start, end and step.
    fn times(&mut self, instant: bool) -> (i64, i64, i64) {
        let start = self.time();
        if instant {
            return (start, start, 0);
        }
        let step = self.random.choose(&[15_000, 30_000, 60_000, 60_000, 120_000, 300_000, 7_001]);
        let steps = self.random.between(0, 16);
        let start = start.min(self.end - step * steps / 2).max(self.start);
        (start, start + step * steps + self.random.between(0, step), step)
    }

    /// The same query with other white space, and comments.
    fn noise(&mut self, text: &str) -> String {
        let (mut out, mut quote, mut escaped) = (String::new(), None, false);
        for c in text.chars() {
            match quote {
                Some(q) => {
                    if c == q && !escaped {
                        quote = None;
                    }
                    escaped = c == '\\' && !escaped && q != '`';
                }
                None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
                None => {}
            }
            match c {
                ' ' if quote.is_none() => {
                    out.push_str(self.random.pick(&[" ", "  ", "\n", "\t", " # ä)\n ", "\r\n"]));
                }
                ',' if quote.is_none() => out.push_str(self.random.pick(&[",", " ,", ",\n  "])),
                _ => out.push(c),
            }
        }
        out
    }
}

/// The expressions within one, itself last; each as often as it stands there.
pub fn parts(expr: &Expr) -> Vec<&Expr> {
    let mut all = Vec::new();
    collect(expr, &mut all);
    all
}

fn collect<'a>(expr: &'a Expr, all: &mut Vec<&'a Expr>) {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(_) | ExprKind::Range(_) => {}
        ExprKind::Subquery(s) => collect(&s.expr, all),
        ExprKind::Call(c) => c.args.iter().for_each(|a| collect(a, all)),
        ExprKind::Aggregate(a) => {
            a.param.iter().for_each(|p| collect(p, all));
            collect(&a.expr, all);
        }
        ExprKind::Binary(b) => {
            collect(&b.lhs, all);
            collect(&b.rhs, all);
        }
        ExprKind::Unary(_, e) | ExprKind::Paren(e) => collect(e, all),
    }
    all.push(expr);
}

#[cfg(test)]
mod tests {
    use varve_promql::ast::{BinaryOp, DurationExpr, DurationKind, Shift, Span, VectorSelector};
    use varve_promql::parse::parse_expr;
    use varve_promql::print::pretty;

    use super::*;

    /// Forgets what printing does not keep: positions, the order of matchers,
    /// whether a duration had units, and what says nothing (`offset 0s`).
    fn forget(expr: &mut Expr) {
        expr.span = Span::default();
        match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Selector(s) => forget_selector(s),
            ExprKind::Range(r) => {
                forget_selector(&mut r.selector);
                r.selector_span = Span::default();
                forget_duration(&mut r.range);
            }
            ExprKind::Subquery(s) => {
                forget(&mut s.expr);
                forget_duration(&mut s.range);
                s.step.iter_mut().for_each(forget_duration);
                forget_shift(&mut s.shift);
            }
            ExprKind::Call(c) => {
                c.func_span = Span::default();
                c.args.iter_mut().for_each(forget);
            }
            ExprKind::Aggregate(a) => {
                a.param.iter_mut().for_each(forget);
                forget(&mut a.expr);
            }
            ExprKind::Binary(b) => {
                b.op_span = Span::default();
                forget(&mut b.lhs);
                forget(&mut b.rhs);
                if let Some(m) = &mut b.matching {
                    m.explicit = m.on || !m.labels.is_empty();
                    // NaN is not equal to itself.
                    for fill in [&mut m.fill_left, &mut m.fill_right] {
                        *fill = fill.map(|v| if v.is_nan() { -0.125 } else { v });
                    }
                }
            }
            ExprKind::Unary(_, e) | ExprKind::Paren(e) => forget(e),
        }
        if let ExprKind::Number { value, .. } = &mut expr.kind
            && value.is_nan()
        {
            *value = -0.125;
        }
    }

    fn forget_selector(s: &mut VectorSelector) {
        s.matchers.sort_by_key(ToString::to_string);
        forget_shift(&mut s.shift);
    }

    fn forget_shift(shift: &mut Shift) {
        shift.offset.iter_mut().for_each(forget_duration);
        let nothing = |d: &DurationExpr| matches!(d.kind, DurationKind::Literal { seconds, .. } if seconds == 0.0);
        shift.offset = shift.offset.take().filter(|d| !nothing(d));
    }

    fn forget_duration(d: &mut DurationExpr) {
        d.span = Span::default();
        match &mut d.kind {
            DurationKind::Literal { unit, .. } => *unit = true,
            DurationKind::Step | DurationKind::Range => {}
            DurationKind::Min(a, b) | DurationKind::Max(a, b) | DurationKind::Binary(_, a, b) => {
                forget_duration(a);
                forget_duration(b);
            }
            DurationKind::Unary(_, a) | DurationKind::Paren(a) => forget_duration(a),
        }
    }

    /// Whether an operator follows an offset that begins with a parenthesis and
    /// does not end there: in `foo offset (5m) / bar` the duration goes on with
    /// `/ bar`. Such a tree is written with something behind the offset that is
    /// printed before it (`foo offset (5m) @ 0 / bar`) or is not printed at all
    /// (`foo offset +(5m) / bar`); Prometheus prints it the same and cannot read
    /// it, either.
    fn offset_goes_on(expr: &Expr) -> bool {
        parts(expr).into_iter().any(|part| match &part.kind {
            ExprKind::Binary(b) => {
                use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
                matches!(b.op, Add | Sub | Mul | Div | Mod | Pow) && ends_open(&b.lhs)
            }
            _ => false,
        })
    }

    /// Whether the print of an expression ends with such an offset.
    fn ends_open(expr: &Expr) -> bool {
        let opens = |shift: &Shift| shift.offset.as_ref().is_some_and(opens);
        match &expr.kind {
            ExprKind::Selector(s) => opens(&s.shift),
            ExprKind::Range(r) => opens(&r.selector.shift),
            ExprKind::Subquery(s) => opens(&s.shift),
            ExprKind::Binary(b) => ends_open(&b.rhs),
            ExprKind::Unary(_, e) => ends_open(e),
            _ => false,
        }
    }

    fn opens(duration: &DurationExpr) -> bool {
        match &duration.kind {
            DurationKind::Paren(_) => true,
            DurationKind::Binary(_, left, _) => opens(left),
            _ => false,
        }
    }

    #[test]
    fn what_follows_an_offset_may_belong_to_it() {
        for (text, goes_on) in [
            ("foo offset (5m) @ 0 / bar", true),
            ("foo offset +(5m) - bar", true),
            ("-foo offset ((5m) + 1) @ 0 ^ bar", true),
            ("1 + foo offset (5m) @ 0 * 2", true),
            ("foo offset (5m) @ 0 == bar", false),
            ("foo offset (5m) @ 0 and bar", false),
            ("foo offset -(5m) @ 0 / bar", false),
            ("(foo offset (5m) @ 0) / bar", false),
            ("bar / foo offset (5m) @ 0", false),
            ("foo offset (5m) / 2", false),
        ] {
            let mut expr = parse_expr(text, &Options::all()).expect(text);
            assert_eq!(offset_goes_on(&expr), goes_on, "{text}");
            let again = parse_expr(&expr.to_string(), &Options::all());
            let same = again.is_ok_and(|mut again| {
                forget(&mut again);
                forget(&mut expr);
                again == expr
            });
            assert_eq!(same, !goes_on, "{text}");
        }
    }

    #[test]
    fn queries_are_valid_and_what_is_printed_parses_to_the_same_tree() {
        let (mut refused, total) = (0, 20_000);
        for (options, seed) in [(Options::all(), 1), (Options::default(), 2)] {
            let data = Data::new(seed);
            for number in 0..total / 2 {
                let text = Query::random(&data, seed, number, &options).text;
                let Ok(mut expr) = parse_expr(&text, &options) else {
                    refused += 1;
                    continue;
                };
                let printed = [expr.to_string(), pretty(&expr)];
                forget(&mut expr);
                if offset_goes_on(&expr) {
                    continue;
                }
                for printed in printed {
                    let again = parse_expr(&printed, &options);
                    let mut again = again.unwrap_or_else(|e| panic!("{text}\n{printed}\n{e}"));
                    forget(&mut again);
                    assert_eq!(again, expr, "{text}\n{printed}");
                }
            }
        }
        assert!(refused * 200 < total, "{refused} of {total} queries are not valid");
    }
}
