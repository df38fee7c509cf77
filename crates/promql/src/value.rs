//! What a query evaluates to: the four value types of PromQL.
//!
//! A matrix reuses [`varve_model::Series`]: one row of floats and one of
//! histograms a series, so an answer is encoded without another copy.

use std::sync::Arc;

use varve_model::{Histogram, Labels, Series};

use crate::ast::ValueType;
use crate::explain::PlanNode;

/// The absolute upper bound of a bucket of an exponential schema, to the bit
/// what Prometheus has; beyond the last bucket of numbers infinite.
#[must_use]
pub fn bucket_bound(index: i64, schema: i32) -> f64 {
    // No schema's numbers reach further than this.
    const FAR: i64 = 1 << 20;
    crate::eval::histogram::bounds::exponential(index.clamp(-FAR, FAR) as i32, schema.clamp(-4, 8))
}

/// One sample's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A native histogram, with float counts.
    Histogram(Arc<Histogram>),
}

/// One series of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// Who.
    pub labels: Labels,
    /// The evaluation time, in milliseconds since the epoch.
    pub time_ms: i64,
    /// What.
    pub value: Value,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// One number.
    Scalar {
        /// The evaluation time, in milliseconds since the epoch.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// A string; Go strings are bytes, so it need not be UTF-8.
    String {
        /// The evaluation time, in milliseconds since the epoch.
        time_ms: i64,
        /// The string.
        value: Vec<u8>,
    },
    /// One sample a series, all at the evaluation time. The order is that of
    /// the query where it asked for one (`sort`, `topk`), else arbitrary.
    Vector(Vec<InstantSample>),
    /// Samples a series, sorted by labels. Both columns of a series are in
    /// order of time and no time stands in both; `starts` are empty.
    Matrix(Vec<Series>),
}

impl QueryValue {
    /// The type as PromQL names it.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar { .. } => ValueType::Scalar,
            Self::String { .. } => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }

    /// How many series the answer has; 1 for scalars and strings.
    pub fn series(&self) -> usize {
        match self {
            Self::Scalar { .. } | Self::String { .. } => 1,
            Self::Vector(v) => v.len(),
            Self::Matrix(m) => m.len(),
        }
    }
}

/// What a query cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples that were looked at, once for each step that did. A histogram
    /// counts as several, by its size.
    pub samples: u64,
    /// The same, a number a step.
    pub samples_per_step: Vec<u64>,
    /// Samples that were looked at, once each.
    pub samples_read: u64,
    /// The same, at the first step that looked at them.
    pub samples_read_per_step: Vec<u64>,
    /// Series read from the source, counted once a selector.
    pub series_read: u64,
    /// The most samples held at one time.
    pub peak_samples: u64,
}

/// The answer, what should be said about it, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryOutput {
    /// The answer.
    pub value: QueryValue,
    /// `PromQL warning: …` texts with their positions.
    pub warnings: Vec<String>,
    /// `PromQL info: …` texts with their positions.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
    /// What each part of it cost, when that was asked for.
    pub plan: Option<PlanNode>,
}
