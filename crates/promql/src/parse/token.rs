//! The tokens of PromQL, and how an error names one.

use super::quote::quote;
use crate::ast::{AggregateOp, BinaryOp, Span};

/// One token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Eof,
    /// The lexer gave up; it holds the message.
    Error,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    String,
    Number,
    Duration,
    Comma,
    Colon,
    /// `=`
    Eql,
    EqlRegex,
    NeqRegex,
    At,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Ignoring,
    Offset,
    Smoothed,
    Anchored,
    On,
    Without,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl Kind {
    /// The keyword that a word is, whatever its case.
    pub(super) fn keyword(word: &str) -> Option<Self> {
        // The longest keyword has 12 letters.
        if word.len() > 12 {
            return None;
        }
        use AggregateOp as A;
        Some(match word.to_ascii_lowercase().as_str() {
            "and" => Self::Op(BinaryOp::And),
            "or" => Self::Op(BinaryOp::Or),
            "unless" => Self::Op(BinaryOp::Unless),
            "atan2" => Self::Op(BinaryOp::Atan2),
            "sum" => Self::Aggregate(A::Sum),
            "avg" => Self::Aggregate(A::Avg),
            "count" => Self::Aggregate(A::Count),
            "min" => Self::Aggregate(A::Min),
            "max" => Self::Aggregate(A::Max),
            "group" => Self::Aggregate(A::Group),
            "stddev" => Self::Aggregate(A::Stddev),
            "stdvar" => Self::Aggregate(A::Stdvar),
            "topk" => Self::Aggregate(A::Topk),
            "bottomk" => Self::Aggregate(A::Bottomk),
            "count_values" => Self::Aggregate(A::CountValues),
            "quantile" => Self::Aggregate(A::Quantile),
            "limitk" => Self::Aggregate(A::Limitk),
            "limit_ratio" => Self::Aggregate(A::LimitRatio),
            "offset" => Self::Offset,
            "smoothed" => Self::Smoothed,
            "anchored" => Self::Anchored,
            "by" => Self::By,
            "without" => Self::Without,
            "on" => Self::On,
            "ignoring" => Self::Ignoring,
            "group_left" => Self::GroupLeft,
            "group_right" => Self::GroupRight,
            "fill" => Self::Fill,
            "fill_left" => Self::FillLeft,
            "fill_right" => Self::FillRight,
            "bool" => Self::Bool,
            "start" => Self::Start,
            "end" => Self::End,
            "step" => Self::Step,
            "range" => Self::Range,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            "inf" | "nan" => Self::Number,
            _ => return None,
        })
    }

    /// Whether it may stand as a metric name.
    pub(super) fn is_metric_name(self) -> bool {
        match self {
            Self::Op(op) => op.is_set(),
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::By | Self::Without | Self::Offset | Self::Anchored | Self::Smoothed => true,
            Self::Fill | Self::FillLeft | Self::FillRight => true,
            other => other.is_preprocessor(),
        }
    }

    /// Whether it may stand as a label name in a grouping.
    pub(super) fn is_grouping_label(self) -> bool {
        match self {
            Self::Without => false,
            Self::Op(BinaryOp::Atan2) => true,
            Self::Bool | Self::GroupLeft | Self::GroupRight | Self::Ignoring | Self::On => true,
            other => other.is_metric_name(),
        }
    }

    /// `start`, `end`, `step`, `range`, `max_of`, `min_of`.
    pub(super) fn is_preprocessor(self) -> bool {
        matches!(
            self,
            Self::Start | Self::End | Self::Step | Self::Range | Self::MaxOf | Self::MinOf
        )
    }
}

/// How an error names a token: `identifier "foo"`, `<op:+>`, `end of input`.
pub(super) fn describe(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Eof => "end of input".to_owned(),
        Kind::Error => "error".to_owned(),
        Kind::Identifier => format!("identifier {}", quote(text)),
        Kind::MetricIdentifier => format!("metric identifier {}", quote(text)),
        Kind::String => format!("string {}", shortened(text)),
        Kind::Number => format!("number {}", shortened(text)),
        Kind::Duration => format!("duration {}", shortened(text)),
        Kind::Op(_) | Kind::EqlRegex | Kind::NeqRegex | Kind::At => format!("<op:{text}>"),
        Kind::Aggregate(_) => format!("<aggr:{text}>"),
        Kind::Bool
        | Kind::By
        | Kind::GroupLeft
        | Kind::GroupRight
        | Kind::Fill
        | Kind::FillLeft
        | Kind::FillRight
        | Kind::Ignoring
        | Kind::Offset
        | Kind::Smoothed
        | Kind::Anchored
        | Kind::On
        | Kind::Without => format!("<{text}>"),
        _ => quote(text),
    }
}

/// Text of more than ten bytes shows its first ten characters.
fn shortened(text: &str) -> String {
    if text.len() > 10 {
        format!("{}...", quote(&text.chars().take(10).collect::<String>()))
    } else {
        quote(text)
    }
}
