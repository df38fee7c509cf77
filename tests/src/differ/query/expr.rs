//! Operators and aggregations, numbers, and the choice between all forms.

use varve_promql::ast::{AggregateOp, BinaryOp};

use super::{Generator, Piece, Want};

/// Labels that group and match.
const LABELS: [&str; 8] = ["a", "b", "instance", "job", "le", "by", "\"label.x\"", "none"];

impl Generator {
    /// An instant vector.
    pub(super) fn vector(&mut self, depth: u32, want: Option<Want>) -> Piece {
        if depth == 0 {
            return Piece::atom(self.selector(want));
        }
        match self.random.weighted(&[8, 40, 20, 24, 5, 2, 2]) {
            0 => Piece::atom(self.selector(want)),
            1 => self.vector_call(depth, want),
            2 => self.aggregate(depth, want),
            3 => self.binary(depth, want),
            4 => {
                let sign = self.random.pick(&["-", "-", "+"]);
                Piece::loose(format!("{sign}{}", self.vector(depth - 1, want).closed()))
            }
            5 => Piece::atom(format!("({})", self.vector(depth - 1, want).text)),
            _ => Piece::atom(format!("vector({})", self.scalar(depth - 1).text)),
        }
    }

    /// A scalar.
    pub(super) fn scalar(&mut self, depth: u32) -> Piece {
        if depth == 0 {
            return Piece::atom(self.number());
        }
        match self.random.weighted(&[20, 20, 20, 10, 5]) {
            0 => Piece::atom(self.number()),
            1 => Piece::atom(format!("scalar({})", self.single(depth - 1))),
            2 => self.scalar_call(depth),
            3 => self.scalar_binary(depth),
            _ => Piece::loose(format!("-{}", self.scalar(depth - 1).closed())),
        }
    }

    /// An instant vector that likely has one element.
    fn single(&mut self, depth: u32) -> String {
        if self.random.percent(70) {
            let inner = self.vector(depth, None).text;
            format!("{}({inner})", self.random.pick(&["sum", "max", "avg", "count"]))
        } else {
            self.vector(depth, None).text
        }
    }

    /// A number that is small most of the time.
    pub(super) fn number(&mut self) -> String {
        let all = [
            "0", "1", "2", "3", "0.5", "10", "1e3", ".25", "-1", "0x1F", "1_000", "Inf", "NaN",
            "-Inf", "5m", "1e-3", "0.1", "2.5", "07", "1e300",
        ];
        if self.random.percent(60) {
            self.random.pick(&all[..8]).to_owned()
        } else {
            self.random.pick(&all).to_owned()
        }
    }

    /// A string literal in one of its forms.
    pub(super) fn string(&mut self) -> String {
        let all = ["\"a\"", "'it\\'s'", "`raw\\d`", "\"\\u00e9\\n\\x41\"", "\"ä\"", "\"\""];
        self.random.pick(&all).to_owned()
    }

    /// `k` for `topk`, a ratio for `limit_ratio`, a quantile and so on.
    fn parameter(&mut self, op: AggregateOp, depth: u32) -> String {
        match op {
            AggregateOp::CountValues => {
                self.random.pick(&["\"value\"", "\"a\"", "'v.x'", "\"value\""]).to_owned()
            }
            _ if self.random.percent(6) => self.unpinned_scalar(depth),
            AggregateOp::Quantile => self.quantile(),
            AggregateOp::LimitRatio => {
                self.random.pick(&["0.5", "-0.5", "0.3", "-0.7", "1", "0", "2"]).to_owned()
            }
            _ => self.random.pick(&["1", "2", "3", "5", "2.7", "0", "-1"]).to_owned(),
        }
    }

    /// A scalar without any `@`: in a parameter Prometheus forgets to resolve it,
    /// and goes on from there with the steps (docs/decisions/0006-equal-answers.md).
    fn unpinned_scalar(&mut self, depth: u32) -> String {
        let before = std::mem::replace(&mut self.unpinned, true);
        let text = self.scalar(depth).text;
        self.unpinned = before;
        text
    }

    /// Mostly between 0 and 1.
    pub(super) fn quantile(&mut self) -> String {
        let all = ["0.5", "0.9", "0.99", "0.25", "0", "1", "0.333", "-0.1", "1.5", "NaN"];
        let n = if self.random.percent(85) { 7 } else { all.len() };
        self.random.pick(&all[..n]).to_owned()
    }

    fn aggregate(&mut self, depth: u32, want: Option<Want>) -> Piece {
        let all: Vec<AggregateOp> = AggregateOp::ALL
            .into_iter()
            .filter(|op| self.options.experimental_functions || !op.is_experimental())
            .collect();
        let op = self.random.choose(&all);
        let mut inner = self.vector(depth - 1, want).text;
        if op.has_param() {
            inner = format!("{}, {inner}", self.parameter(op, depth - 1));
        }
        let mut name = op.as_str().to_owned();
        if self.random.percent(3) {
            name = name.to_uppercase();
        }
        let word = self.random.pick(&["by", "by", "without"]);
        Piece::atom(match self.random.weighted(&[40, 40, 20]) {
            0 => format!("{name}({inner})"),
            1 => format!("{name} {word} ({}) ({inner})", self.labels(3)),
            _ => format!("{name}({inner}) {word} ({})", self.labels(3)),
        })
    }

    /// Up to `most` labels.
    fn labels(&mut self, most: usize) -> String {
        let n = self.random.below(most + 1);
        let mut all: Vec<&str> =
            (0..n).map(|_| LABELS[self.random.weighted(&[8, 6, 3, 2, 2, 1, 1, 1])]).collect();
        all.dedup();
        all.join(", ")
    }

    /// An operator; a comparison between scalars needs `bool`.
    fn operator(&mut self, scalars: bool) -> (BinaryOp, String) {
        let fits = |op: &BinaryOp| !scalars || !op.is_set() && !op.is_trim();
        let all: Vec<BinaryOp> = BinaryOp::ALL.into_iter().filter(fits).collect();
        let op = self.random.choose(&all);
        let bool = op.is_comparison() && (scalars || self.random.percent(30));
        (op, format!("{}{}", op.as_str(), if bool { " bool" } else { "" }))
    }

    fn scalar_binary(&mut self, depth: u32) -> Piece {
        let (lhs, rhs) = (self.scalar(depth - 1), self.scalar(depth - 1));
        let (_, op) = self.operator(true);
        Piece::loose(format!("{} {op} {}", self.operand(lhs), self.operand(rhs)))
    }

    /// In parentheses most of the time; precedence decides otherwise.
    fn operand(&mut self, piece: Piece) -> String {
        if self.random.percent(25) { piece.text } else { piece.closed() }
    }

    fn binary(&mut self, depth: u32, want: Option<Want>) -> Piece {
        let (op, text) = self.operator(false);
        let want =
            if op.is_trim() && self.random.percent(85) { Some(Want::Histogram) } else { want };
        let with_scalar = !op.is_set() && (op.is_trim() || self.random.percent(45));
        if with_scalar {
            let (vector, scalar) = (self.vector(depth - 1, want), self.scalar(depth - 1));
            let scalar = self.operand(scalar);
            if op.is_trim() || self.random.percent(65) {
                return Piece::loose(format!("{} {text} {scalar}", self.operand(vector)));
            }
            // `1 == 2 > x` would compare the scalars first.
            let vector = if op.is_comparison() { vector.closed() } else { self.operand(vector) };
            return Piece::loose(format!("{scalar} {text} {vector}"));
        }
        let lhs = self.vector(depth - 1, want);
        // Most pairs match when both sides are of one kind, or the same.
        let rhs = if self.random.percent(20) { lhs.clone() } else { self.vector(depth - 1, want) };
        let modifiers = self.matching(op);
        if modifiers.is_empty() {
            return Piece::loose(format!("{} {text} {}", self.operand(lhs), self.operand(rhs)));
        }
        let (mut lhs, mut rhs) = (lhs.closed(), rhs.closed());
        // The one side of a grouping rarely is that by itself.
        if modifiers.contains("group_") && self.random.percent(75) {
            let by = self.random.pick(&["a", "b", "a, b"]);
            let one = if modifiers.contains("group_left") { &mut rhs } else { &mut lhs };
            *one = format!("{} by ({by}) ({one})", self.random.pick(&["sum", "max", "count"]));
            let grouped = self.grouping(&modifiers, by);
            return Piece::loose(format!("{lhs} {text} {grouped} {rhs}"));
        }
        Piece::loose(format!("{lhs} {text} {modifiers} {rhs}"))
    }

    /// The modifiers with `on (by)` for what they match on.
    fn grouping(&mut self, modifiers: &str, by: &str) -> String {
        let rest = modifiers.find("group_").map_or("", |at| &modifiers[at..]);
        // What is matched on cannot be included as well.
        let rest = if by.contains('b') { rest.replace(" (b)", "") } else { rest.to_owned() };
        format!("on ({by}) {rest}")
    }

    /// `on`, `group_left`, `fill` and the like, possibly none.
    fn matching(&mut self, op: BinaryOp) -> String {
        let mut all = Vec::new();
        let grouped = !op.is_set() && self.random.percent(25);
        let mut matched_on = String::new();
        if grouped || self.random.percent(45) {
            let word = self.random.pick(&["on", "on", "ignoring"]);
            let labels = self.labels(2);
            let labels = if labels.is_empty() && self.random.percent(60) {
                "a, b".to_owned()
            } else {
                labels
            };
            all.push(format!("{word} ({labels})"));
            if word == "on" {
                matched_on = labels;
            }
        }
        if grouped {
            let side = self.random.pick(&["left", "right"]);
            // What is matched on cannot be included as well.
            let fits = |include: &&str| {
                let mut labels = include.split([' ', '(', ',', ')']).filter(|l| !l.is_empty());
                labels.all(|l| !matched_on.split(", ").any(|m| m == l))
            };
            let include = ["", " ()", " (job)", " (b)", " (le, none)"];
            let include: Vec<&str> = include.into_iter().filter(fits).collect();
            let include = self.random.pick(&include);
            all.push(format!("group_{side}{include}"));
        }
        if self.options.binop_fill && !op.is_set() && self.random.percent(25) {
            let value = self.random.pick(&["0", "1.5", "-2", "NaN", "1e9", "Inf"]);
            let other = self.random.pick(&["3", "-0.5"]);
            all.push(match self.random.below(4) {
                0 => format!("fill({value})"),
                1 => format!("fill_left({value})"),
                2 => format!("fill_right ({value})"),
                _ => format!("fill_left({value}) fill_right({other})"),
            });
        }
        all.join(" ")
    }
}
