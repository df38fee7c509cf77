//! What the query routes ask of a querier.
//!
//! Parameters come parsed and checked; times are milliseconds since the
//! epoch. An answer carries what must not get lost on the way: annotations
//! and coverage. Next: `varve-querier` implements this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use varve_model::{ErrorKind, Exemplar, Labels, Matcher, Metadata, TenantId, TimeRange};
use varve_promql::ast::Expr;
use varve_promql::engine::EngineOptions;
use varve_promql::explain::PlanNode;
use varve_promql::parse;
use varve_promql::source::{Charge, Decoded, MemoryBudget};
use varve_promql::value::QueryValue;

/// A PromQL expression, parsed and type-checked.
#[derive(Clone, Debug)]
pub struct Query {
    /// As it was written; positions in annotations refer to it.
    pub text: String,
    /// The syntax tree.
    pub expr: Expr,
    /// Stop after so long; the querier's own limit holds besides.
    pub timeout: Option<Duration>,
    /// `lookback_delta`, in place of the configured one.
    pub lookback: Option<Duration>,
    /// Which statistics are wanted.
    pub stats: Stats,
    /// Whether its parts are to be measured ([`Answer::analysis`]).
    pub analyze: bool,
}

/// How much is told of what a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stats {
    /// Nothing.
    #[default]
    None,
    /// Sums.
    Sums,
    /// Numbers of each step, too, where that is on.
    All,
}

/// Evaluate at one time.
#[derive(Clone, Debug)]
pub struct InstantQuery {
    /// What.
    pub query: Query,
    /// When, in milliseconds since the epoch.
    pub time: i64,
}

/// Evaluate at `start`, `start + step`, … up to `end`.
#[derive(Clone, Debug)]
pub struct RangeQuery {
    /// What.
    pub query: Query,
    /// First step, in milliseconds since the epoch.
    pub start: i64,
    /// No step is later than this.
    pub end: i64,
    /// Milliseconds, greater than 0 (but in [`Querier::explain`], where 0 is
    /// an instant query).
    pub step: i64,
}

/// Which series, for the routes about labels.
#[derive(Clone, Debug, Default)]
pub struct SeriesQuery {
    /// A series that fits any of these is taken; none = all series.
    pub selectors: Vec<Vec<Matcher>>,
    /// Series with samples in this range (`None` = ever); more may be answered.
    pub range: Option<TimeRange>,
    /// So many results are enough; 0 = all are wanted. Which ones are
    /// answered is free. (The route asks for one more than the caller, to
    /// know whether to say that results were cut off.)
    pub limit: usize,
}

/// Which metadata.
#[derive(Clone, Debug, Default)]
pub struct MetadataQuery {
    /// One metric family only.
    pub metric: Option<String>,
    /// Most metrics; 0 = all.
    pub limit: usize,
    /// Most entries a metric; 0 = all.
    pub limit_per_metric: usize,
}

/// The exemplars of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// One block of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSummary {
    /// Its id.
    pub id: String,
    /// Time of the first sample, in milliseconds since the epoch.
    pub min_time: i64,
    /// Time of the last sample.
    pub max_time: i64,
    /// How many samples.
    pub samples: u64,
    /// How many series.
    pub series: u64,
    /// How often it was merged; 0 = as an ingester cut it.
    pub level: u32,
    /// The blocks that it was made from.
    pub sources: Vec<String>,
}

/// Series with their samples, sorted by labels, one a batch.
///
/// Work that is left ends when this is dropped.
pub struct SeriesStream {
    /// The series. An error ends them.
    pub batches: BoxStream<'static, Result<Decoded, QueryError>>,
    /// What is made of them is charged to this, before it is allocated.
    pub budget: Arc<dyn MemoryBudget>,
}

/// What remote read may do.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Most samples of one query in an answer that is not streamed.
    pub max_samples: u64,
    /// About how many bytes a frame of a streamed answer has.
    pub frame_bytes: usize,
    /// A client that takes nothing for so long is given up.
    pub stalled: Duration,
}

/// A result and what has to be said of it.
#[derive(Clone, Debug, Default)]
pub struct Answer<T> {
    /// The result.
    pub value: T,
    /// Rendered warnings, with positions; all of them (the route caps them).
    pub warnings: Vec<String>,
    /// Rendered infos, with positions.
    pub infos: Vec<String>,
    /// How complete the result is: one line of JSON for `X-Varve-Coverage`.
    pub coverage: Option<String>,
    /// Statistics as JSON, when they were asked for.
    pub stats: Option<serde_json::Value>,
    /// The plan with what each part cost, when that was asked for.
    pub analysis: Option<PlanNode>,
    /// What the result is charged with, until it has gone to its client.
    pub held: Option<Arc<Charge>>,
}

impl<T> Answer<T> {
    /// The result, and what has to be said of it.
    pub(crate) fn take(self) -> (T, Answer<()>) {
        let Self { value, warnings, infos, coverage, stats, analysis, held } = self;
        (value, Answer { value: (), warnings, infos, coverage, stats, analysis, held })
    }

    /// The same said of another result.
    pub(crate) fn with<U>(self, value: U) -> Answer<U> {
        let Self { value: _, warnings, infos, coverage, stats, analysis, held } = self;
        Answer { value, warnings, infos, coverage, stats, analysis, held }
    }
}

impl<T> From<T> for Answer<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            warnings: Vec::new(),
            infos: Vec::new(),
            coverage: None,
            stats: None,
            analysis: None,
            held: None,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Decides the HTTP status and Prometheus' `errorType`.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
}

impl QueryError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Answers questions about stored series.
///
/// Dropping a returned future cancels the work behind it.
#[async_trait]
pub trait Querier: Send + Sync {
    /// How queries are read and evaluated.
    fn engine_options(&self) -> EngineOptions {
        EngineOptions::default()
    }

    /// Which parts of the language are allowed.
    fn parse_options(&self) -> parse::Options {
        self.engine_options().parse
    }

    /// Evaluates an expression at one time.
    async fn instant(
        &self,
        tenant: TenantId,
        query: InstantQuery,
    ) -> Result<Answer<QueryValue>, QueryError>;

    /// Evaluates an expression over steps; the value is a matrix.
    async fn range(
        &self,
        tenant: TenantId,
        query: RangeQuery,
    ) -> Result<Answer<QueryValue>, QueryError>;

    /// The plan of a query with what each part is expected to cost; nothing is evaluated. An instant query has one step.
    async fn explain(
        &self,
        tenant: TenantId,
        query: RangeQuery,
    ) -> Result<Answer<PlanNode>, QueryError>;

    /// What remote read may do.
    fn read_limits(&self) -> ReadLimits;

    /// The samples within `range` of the series that fit all of `matchers`.
    async fn read(
        &self,
        tenant: TenantId,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<SeriesStream, QueryError>;

    /// The exemplars within `range` of series that fit any of `selectors`.
    async fn exemplars(
        &self,
        tenant: TenantId,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> Result<Answer<Vec<SeriesExemplars>>, QueryError>;

    /// The label sets of matching series, each once.
    async fn series(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<Labels>>, QueryError>;

    /// The label names of matching series, sorted, each once.
    async fn labels(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError>;

    /// The values of one label over matching series, sorted, each once.
    async fn label_values(
        &self,
        tenant: TenantId,
        name: String,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError>;

    /// The blocks that the tenant has now, in order of time.
    async fn blocks(&self, tenant: TenantId) -> Result<Answer<Vec<BlockSummary>>, QueryError>;

    /// What metric families say of themselves.
    async fn metadata(
        &self,
        tenant: TenantId,
        query: MetadataQuery,
    ) -> Result<Answer<BTreeMap<String, Vec<Metadata>>>, QueryError>;
}
