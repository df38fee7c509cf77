//! Where the engine reads series, runs work, and charges memory: the traits
//! that its callers implement. The engine knows no storage and no network.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use varve_model::{ErrorKind, Matcher, Series, TimeRange};

/// What a selector asks of storage.
#[derive(Clone)]
pub struct SelectRequest {
    /// All of these must hold.
    pub matchers: Vec<Matcher>,
    /// Samples outside `(start, end]` are of no use, but may be returned.
    pub range: TimeRange,
    /// What will be done with the samples: a help to prune, never needed for the answer.
    pub hints: SelectHints,
    /// What the memory of the series is charged to.
    pub budget: Arc<dyn MemoryBudget>,
    /// Where it is counted what was read.
    pub reads: Arc<Reads>,
    /// How many selects of the query ask for the same series and range, this
    /// one included: what is read for one can serve all.
    pub uses: usize,
}

/// What selects have read from storage, so far.
#[derive(Debug, Default)]
pub struct Reads {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Reads {
    /// Counts a request to a server.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts coded bytes that came.
    pub fn came(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Coded bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What a select would have to read, as its indexes tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Series that match, once for each place that has them.
    pub series: u64,
    /// About how many samples of theirs lie in the range.
    pub samples: u64,
    /// About how many coded bytes these take.
    pub bytes: u64,
    /// Requests that it takes.
    pub requests: u64,
}

/// What storage may use to send less.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// The step of the query in milliseconds, 0 for an instant query.
    pub step: i64,
    /// The function around the selector.
    pub func: Option<&'static str>,
    /// The range of a range selector in milliseconds, else 0.
    pub range: i64,
}

/// Series read by the engine.
///
/// The contract of a stream: every series comes once and whole (all its
/// samples in the range, merged and deduplicated, in order of time), in no
/// particular order. An error ends it.
pub trait SeriesSource: Send + Sync {
    /// Streams the series that match, in batches. Memory of a batch is charged
    /// to the request's budget by the source before it is taken, and released
    /// by the engine when it drops the batch's [`Charge`].
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>>;

    /// Says that a select of the same will come, when others have been
    /// evaluated. A source may begin to read for it.
    fn ahead(&self, request: SelectRequest) {
        drop(request);
    }

    /// Tells what a select of the series that match would have to read,
    /// without reading a sample.
    fn estimate(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>>;
}

/// Some series, perhaps still coded: the engine decodes batches on as many
/// threads as it may use, each where its rows are made.
pub struct SeriesBatch(Box<dyn FnOnce() -> Result<Decoded, SourceError> + Send>);

/// Some series, and the memory that they are charged with.
pub struct Decoded {
    /// The series.
    pub series: Vec<Series>,
    /// Keeps their memory charged until dropped.
    pub charge: Charge,
}

impl SeriesBatch {
    /// Series that are there already.
    pub fn new(series: Vec<Series>, charge: Charge) -> Self {
        Self::later(move || Ok(Decoded { series, charge }))
    }

    /// Series that `decode` makes, on some thread; it may not wait for others.
    pub fn later(decode: impl FnOnce() -> Result<Decoded, SourceError> + Send + 'static) -> Self {
        Self(Box::new(decode))
    }

    /// The series.
    ///
    /// # Errors
    /// What is wrong with their bytes, or that there is no memory for them.
    pub fn decode(self) -> Result<Decoded, SourceError> {
        (self.0)()
    }
}

/// Why storage could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What a caller should do about it.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
}

/// A limit on the memory of one query, itself part of a tenant's and the process'.
pub trait MemoryBudget: Send + Sync {
    /// Takes `bytes`, or says which limit that would break.
    fn take(&self, bytes: usize) -> Result<(), OverBudget>;
    /// Gives `bytes` back.
    fn give(&self, bytes: usize);
}

/// A query needs more memory than a limit allows.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the {scope} memory limit of {limit} bytes would be exceeded: {used} bytes are in use and {asked} more were asked for (setting {setting}){}",
    Biggest::text(.biggest.as_ref())
)]
pub struct OverBudget {
    /// "query", "tenant" or "process".
    pub scope: &'static str,
    /// The limit in bytes.
    pub limit: usize,
    /// Bytes in use.
    pub used: usize,
    /// Bytes asked for.
    pub asked: usize,
    /// The name of the setting that says so.
    pub setting: &'static str,
    /// What of the query holds most, once the engine has found out.
    pub biggest: Option<Biggest>,
}

impl OverBudget {
    /// A query that is too large by itself fails; one that finds no room beside
    /// others may be asked again.
    pub fn kind(&self) -> ErrorKind {
        if self.scope == "query" { ErrorKind::Execution } else { ErrorKind::Unavailable }
    }
}

/// The part of a query that holds most of its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Biggest {
    /// Its text, perhaps cut short.
    pub part: String,
    /// What it would hold, in bytes.
    pub bytes: usize,
}

impl Biggest {
    fn text(biggest: Option<&Self>) -> String {
        biggest.map_or_else(String::new, |b| {
            format!("; of this query {} bytes would be held by {}", b.bytes, b.part)
        })
    }
}

/// Memory taken from a budget, given back on drop.
pub struct Charge {
    budget: Arc<dyn MemoryBudget>,
    bytes: usize,
}

impl Charge {
    /// Takes `bytes` from the budget.
    pub fn take(budget: &Arc<dyn MemoryBudget>, bytes: usize) -> Result<Self, OverBudget> {
        budget.take(bytes)?;
        Ok(Self { budget: Arc::clone(budget), bytes })
    }

    /// Takes more onto the same charge.
    pub fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.budget.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// The bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({} bytes)", self.bytes)
    }
}
