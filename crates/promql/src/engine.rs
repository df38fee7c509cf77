//! The engine: from query text to answer.
//!
//! It parses, plans and evaluates; it owns no data, no clock but the stopwatch
//! of `analyze`, and some threads on which queries work on batches of series.
//! Whoever calls it gives the series, the memory budget, and a token that
//! ends the query when its time is up.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;

use futures::future::{self, Either};
use futures::task::AtomicWaker;
use varve_model::ErrorKind;

use crate::eval::Workers;
use crate::explain::PlanNode;
use crate::parse;
use crate::source::{MemoryBudget, OverBudget, SeriesSource, SourceError};
use crate::value::QueryOutput;

/// How queries are read and evaluated.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// The most samples that one query may hold at a time; 0 = no limit.
    pub max_samples: u64,
    /// Threads that one query may use at once, its own included; the others are
    /// shared by all queries.
    pub threads: usize,
    /// Whether metric names are dropped at the end rather than at once
    /// (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// Whether start timestamps count as resets (`use-start-timestamps`).
    pub start_timestamps: bool,
    /// Whether `__type__` and `__unit__` are evaluated (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// Whether statistics are also counted by step (`promql-per-step-stats`).
    pub per_step_stats: bool,
    /// Which parts of the language are allowed.
    pub parse: parse::Options,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60 * 1000,
            default_subquery_step_ms: 60 * 1000,
            max_samples: 50_000_000,
            threads: 1,
            delayed_name_removal: false,
            start_timestamps: false,
            type_and_unit_labels: false,
            per_step_stats: false,
            parse: parse::Options::default(),
        }
    }
}

/// One query.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The expression.
    pub text: String,
    /// First evaluation time, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Last evaluation time at most; that of an instant query equals `start_ms`.
    pub end_ms: i64,
    /// The step in milliseconds; 0 for an instant query.
    pub step_ms: i64,
    /// Overrides [`EngineOptions::lookback_ms`].
    pub lookback_ms: Option<i64>,
    /// Whether its parts are measured ([`QueryOutput::plan`]).
    pub analyze: bool,
}

impl Query {
    /// A query at one time.
    pub fn instant(text: impl Into<String>, time_ms: i64) -> Self {
        Self { text: text.into(), start_ms: time_ms, end_ms: time_ms, ..Self::default() }
    }

    /// A query at each step from `start_ms` to `end_ms`.
    pub fn range(text: impl Into<String>, start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        Self { text: text.into(), start_ms, end_ms, step_ms, ..Self::default() }
    }
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What a caller should do about it. `Invalid` for what does not parse.
    pub kind: ErrorKind,
    /// What happened, as Prometheus words it where it has words for it.
    pub message: String,
}

impl EngineError {
    /// An evaluation that fails (HTTP 422).
    pub fn execution(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Execution, message: message.into() }
    }

    /// A query that is wrong as it is (HTTP 400).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// A part of the language that is refused.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::execution(format!("{what} is not supported yet"))
    }
}

impl From<parse::ParseError> for EngineError {
    fn from(e: parse::ParseError) -> Self {
        Self { kind: ErrorKind::Invalid, message: e.to_string() }
    }
}

impl From<SourceError> for EngineError {
    fn from(e: SourceError) -> Self {
        Self { kind: e.kind, message: e.message }
    }
}

impl From<OverBudget> for EngineError {
    fn from(e: OverBudget) -> Self {
        Self { kind: e.kind(), message: e.to_string() }
    }
}

/// Ends a query from outside. Clones share one state, and are for one query.
///
/// A query that waits for its series ends at once. One that computes looks at
/// it after every few milliseconds of work at the latest.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Ended>);

#[derive(Debug, Default)]
struct Ended {
    why: AtomicU8,
    waits: AtomicWaker,
}

const CANCELED: u8 = 1;
const EXPIRED: u8 = 2;

impl Cancel {
    /// Ends the query because nobody waits for it any more.
    pub fn cancel(&self) {
        self.end(CANCELED);
    }

    /// Ends the query because its time is up.
    pub fn expire(&self) {
        self.end(EXPIRED);
    }

    fn end(&self, why: u8) {
        self.0.why.store(why, Ordering::Release);
        self.0.waits.wake();
    }

    /// Waits until the query is ended.
    async fn ended(&self) -> EngineError {
        poll_fn(|context| {
            self.0.waits.register(context.waker());
            self.check().map_or_else(Poll::Ready, |()| Poll::Pending)
        })
        .await
    }

    /// An error when the query was ended.
    pub fn check(&self) -> Result<(), EngineError> {
        match self.0.why.load(Ordering::Acquire) {
            0 => Ok(()),
            EXPIRED => Err(EngineError {
                kind: ErrorKind::Timeout,
                message: "query timed out in expression evaluation".to_owned(),
            }),
            _ => Err(EngineError {
                kind: ErrorKind::Canceled,
                message: "query was canceled in expression evaluation".to_owned(),
            }),
        }
    }
}

/// The PromQL engine.
#[derive(Clone, Debug)]
pub struct Engine {
    options: Arc<EngineOptions>,
    workers: Arc<Workers>,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        let workers = Arc::new(Workers::new(options.threads));
        Self { options: Arc::new(options), workers }
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates one query. Work happens on the polling thread, so callers
    /// run it where blocking is allowed.
    ///
    /// # Errors
    /// `Invalid` for what does not parse; `Execution` for what cannot be
    /// evaluated, exceeds a limit, or is refused as not supported; the kind of
    /// the source for its errors; `Canceled` and `Timeout` by `cancel`.
    pub async fn run(
        &self,
        query: &Query,
        source: Arc<dyn SeriesSource>,
        budget: Arc<dyn MemoryBudget>,
        cancel: Cancel,
    ) -> Result<QueryOutput, EngineError> {
        cancel.check()?;
        let expr = parse::parse_expr(&query.text, &self.options.parse)?;
        let ended = cancel.clone();
        let engine = (&*self.options, &*self.workers);
        let work = crate::eval::run(engine, query, &expr, source, budget, cancel);
        match future::select(Box::pin(work), Box::pin(ended.ended())).await {
            Either::Left((output, _)) => output,
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Plans one query and estimates what it would cost, without reading a
    /// sample.
    ///
    /// # Errors
    /// As [`Self::run`] for what does not parse or is refused, and those of
    /// the source.
    pub async fn explain(
        &self,
        query: &Query,
        source: Arc<dyn SeriesSource>,
    ) -> Result<PlanNode, EngineError> {
        let expr = parse::parse_expr(&query.text, &self.options.parse)?;
        crate::eval::explain(&self.options, query, &expr, &source).await
    }
}
