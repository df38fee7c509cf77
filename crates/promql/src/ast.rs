//! The syntax tree of PromQL 3.15, as the parser makes it.
//!
//! Every node knows the bytes of the query that it came from, because errors
//! and annotations name positions. Nothing here is evaluated: durations that
//! are expressions stay so until [`crate::plan`] knows start, end and step.

use varve_model::Matcher;

/// Bytes `[start, end)` of the query text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number at each step.
    Scalar,
    /// One sample a series at each step.
    Vector,
    /// A range of samples a series.
    Matrix,
    /// A string.
    String,
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The bytes it came from.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1f`, `5m`. `duration` is set when written as a duration.
    Number {
        /// The value; a duration's is in seconds.
        value: f64,
        /// Whether it was written as a duration.
        duration: bool,
    },
    /// A string literal, unescaped. Go strings are bytes.
    String(Vec<u8>),
    /// `metric{...} offset d @ t`
    Selector(Box<VectorSelector>),
    /// `selector[d]`; offset and @ stand on the selector.
    Range(Box<RangeSelector>),
    /// `expr[d:s] offset d @ t`
    Subquery(Box<Subquery>),
    /// `f(args...)`
    Call(Box<Call>),
    /// `sum by (a) (expr)`
    Aggregate(Box<Aggregate>),
    /// `a + on (x) group_left (y) b`
    Binary(Box<Binary>),
    /// `-x`, `+x`
    Unary(UnaryOp, Box<Expr>),
    /// `(x)`
    Paren(Box<Expr>),
}

/// `metric{matchers} offset d @ t anchored|smoothed`
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name before the braces, empty when there is none.
    pub name: String,
    /// All conditions, that on `__name__` included.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub shift: Shift,
    /// `anchored` or `smoothed`.
    pub extended: Option<Extended>,
    /// Set for the second argument of `info`, which may match everything.
    pub allows_empty_matchers: bool,
}

/// How samples at a range's edges are made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extended {
    /// Boundary values are those of the nearest samples.
    Anchored,
    /// Boundary values are interpolated.
    Smoothed,
}

/// `selector[d]`
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSelector {
    /// What is selected; the span is that of the selector alone.
    pub selector: VectorSelector,
    /// Where the selector stands.
    pub selector_span: Span,
    /// How far back.
    pub range: DurationExpr,
}

/// `expr[range:step]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back.
    pub range: DurationExpr,
    /// The step; `None` is the default evaluation interval.
    pub step: Option<DurationExpr>,
    /// `offset` and `@`.
    pub shift: Shift,
}

/// `offset` and `@` of a selector or subquery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// `offset d`; relative to the `@` time when there is one.
    pub offset: Option<DurationExpr>,
    /// `@ t`
    pub at: Option<At>,
}

/// The fixed time of an `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 123.4`, in milliseconds since the epoch.
    Time(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// A duration, literal or to be computed from the query's start, end and step.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: DurationKind,
}

/// The forms of a duration.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// A number of seconds; `unit` is set when written with units (`5m`).
    Literal {
        /// Seconds.
        seconds: f64,
        /// Whether it was written with units.
        unit: bool,
    },
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `min_of(a, b)`
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`, `+a`
    Unary(UnaryOp, Box<DurationExpr>),
    /// `a + b`; only arithmetic operators.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}

/// `f(args...)`
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function, from [`crate::functions::lookup`]'s table.
    pub func: &'static crate::functions::Function,
    /// Where the name stands.
    pub func_span: Span,
    /// The arguments as written.
    pub args: Vec<Expr>,
}

/// `op by|without (labels) (param, expr)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which aggregation.
    pub op: AggregateOp,
    /// The parameter of topk, quantile and the like.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// `without` rather than `by`.
    pub without: bool,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

/// `lhs op bool on|ignoring (labels) group_left|group_right (labels) fill(x) rhs`
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    /// The left operand.
    pub lhs: Expr,
    /// The right operand.
    pub rhs: Expr,
    /// `bool`
    pub return_bool: bool,
    /// How vectors are matched; present exactly when both sides are vectors.
    pub matching: Option<VectorMatching>,
}

/// How the series of two vectors are paired.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// One to one, or which side is the many.
    pub card: Cardinality,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Whether `on` or `ignoring` was written at all.
    pub explicit: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// `fill_left(x)`, or `fill(x)`
    pub fill_left: Option<f64>,
    /// `fill_right(x)`, or `fill(x)`
    pub fill_right: Option<f64>,
}

/// How many series of each side may share a match group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One on each side.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
    /// `</`: keeps the buckets below.
    TrimUpper,
    /// `>/`: keeps the buckets above.
    TrimLower,
}

/// The sign operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Plus,
    Minus,
}

impl AggregateOp {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::CountValues,
        Self::Quantile,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }
}

impl AggregateOp {
    /// Whether it needs `promql-experimental-functions`.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }

    /// Whether a parameter stands before the expression.
    pub fn has_param(self) -> bool {
        matches!(
            self,
            Self::Topk
                | Self::Bottomk
                | Self::CountValues
                | Self::Quantile
                | Self::Limitk
                | Self::LimitRatio
        )
    }
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::Pow,
        Self::Atan2,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::And,
        Self::Or,
        Self::Unless,
        Self::TrimUpper,
        Self::TrimLower,
    ];

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    /// Whether the operator compares.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether the operator takes buckets away from a histogram.
    pub fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether the operator works on sets of series.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl Expr {
    /// All vector selectors, those of ranges included, from left to right.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.collect_selectors(&mut found);
        found
    }

    fn collect_selectors<'a>(&'a self, found: &mut Vec<&'a VectorSelector>) {
        match &self.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Selector(s) => found.push(s),
            ExprKind::Range(r) => found.push(&r.selector),
            ExprKind::Subquery(s) => s.expr.collect_selectors(found),
            ExprKind::Call(c) => c.args.iter().for_each(|a| a.collect_selectors(found)),
            ExprKind::Aggregate(a) => {
                if let Some(param) = &a.param {
                    param.collect_selectors(found);
                }
                a.expr.collect_selectors(found);
            }
            ExprKind::Binary(b) => {
                b.lhs.collect_selectors(found);
                b.rhs.collect_selectors(found);
            }
            ExprKind::Unary(_, e) | ExprKind::Paren(e) => e.collect_selectors(found),
        }
    }

    /// What it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Call(call) => call.func.returns,
            ExprKind::Binary(b) => {
                let scalars = b.lhs.value_type() == ValueType::Scalar
                    && b.rhs.value_type() == ValueType::Scalar;
                if scalars { ValueType::Scalar } else { ValueType::Vector }
            }
            ExprKind::Unary(_, e) | ExprKind::Paren(e) => e.value_type(),
        }
    }
}

impl ValueType {
    /// The name in the HTTP API and in errors that quote it (`"vector"`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// The name in the texts of parse errors.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}
