//! A session as the engine's source: what several selectors of a query ask for
//! is read once, and what a later one asks for is read while an earlier one is
//! evaluated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use varve_model::{Matcher, TimeRange};
use varve_promql::source::{
    Estimate, MemoryBudget, OverBudget, SelectRequest, SeriesBatch, SeriesSource, SourceError,
};

use crate::gathered::Gathered;
use crate::{QueryError, Session};

/// The share of a query's memory that a read ahead may take. One that needs
/// more ends there, and is made again when its turn comes.
const AHEAD: u64 = 16;

/// What a read brings.
type Read = Result<Arc<Gathered>, QueryError>;

impl Session {
    /// The session as the engine's source.
    pub fn source(self: &Arc<Self>) -> Arc<dyn SeriesSource> {
        Arc::new(Source { session: Arc::clone(self), shared: Mutex::default() })
    }
}

struct Source {
    session: Arc<Session>,
    /// What several selectors ask for, or one that has not come yet.
    shared: Mutex<Vec<Sharing>>,
}

/// A read that serves several selects.
struct Sharing {
    matchers: Vec<Matcher>,
    range: TimeRange,
    /// Selects that have not come yet.
    left: usize,
    gathered: Shared<BoxFuture<'static, Read>>,
}

impl Sharing {
    /// For the selects that ask for the same as one.
    fn new(request: &SelectRequest, read: impl Future<Output = Read> + Send + 'static) -> Self {
        let SelectRequest { matchers, range, uses, .. } = request;
        let (matchers, range, left) = (matchers.clone(), *range, (*uses).max(1));
        Self { matchers, range, left, gathered: read.boxed().shared() }
    }

    fn is_for(&self, request: &SelectRequest) -> bool {
        self.range == request.range && self.matchers == request.matchers
    }
}

impl Source {
    /// Reads what is asked for.
    fn read(
        &self,
        request: &SelectRequest,
        budget: Arc<dyn MemoryBudget>,
    ) -> impl Future<Output = Read> + Send + use<> {
        let SelectRequest { matchers, range, reads, .. } = request;
        let (matchers, range, reads) = (matchers.clone(), *range, Arc::clone(reads));
        let session = Arc::clone(&self.session);
        async move { session.coded(&matchers, range, &budget, &reads).await.map(Arc::new) }
    }

    /// What is read for a select; for the same selects of a query only once.
    fn gathered(&self, request: &SelectRequest) -> BoxFuture<'static, Read> {
        let mut shared = self.shared.lock();
        let place = match shared.iter().position(|s| s.is_for(request)) {
            Some(place) => place,
            None => {
                let read = self.read(request, Arc::clone(&request.budget));
                if request.uses < 2 {
                    return read.boxed();
                }
                shared.push(Sharing::new(request, read));
                shared.len() - 1
            }
        };
        shared[place].left = shared[place].left.saturating_sub(1);
        match shared[place].left {
            0 => shared.swap_remove(place).gathered.boxed(),
            _ => shared[place].gathered.clone().boxed(),
        }
    }
}

impl SeriesSource for Source {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        let gathered = self.gathered(&request);
        let limit = self.session.reader.config.batch_samples;
        let read = async move {
            let SelectRequest { range, budget, .. } = request;
            let batches = gathered.await?.batches(range, limit, budget);
            Ok::<_, SourceError>(stream::iter(batches.map(Ok)))
        };
        stream::once(read).try_flatten().boxed()
    }

    fn ahead(&self, request: SelectRequest) {
        let mut shared = self.shared.lock();
        if shared.iter().any(|s| s.is_for(&request)) {
            return;
        }
        let limit = self.session.reader.config.max_memory_per_query.0 / AHEAD;
        let bounded = Bounded {
            whole: Arc::clone(&request.budget),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            used: AtomicUsize::new(0),
        };
        // Ends when nobody waits for it any more.
        let mut early = JoinSet::new();
        early.spawn(self.read(&request, Arc::new(bounded)));
        let late = self.read(&request, Arc::clone(&request.budget));
        let read = async move {
            match early.join_next().await {
                Some(Ok(Ok(gathered))) => Ok(gathered),
                // It was too much to be read ahead, or had bad luck.
                _ => late.await,
            }
        };
        shared.push(Sharing::new(&request, read));
    }

    fn estimate(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>> {
        let session = Arc::clone(&self.session);
        async move { Ok(session.estimate(&matchers, range).await?) }.boxed()
    }
}

/// What a read ahead may take of a query's budget.
struct Bounded {
    whole: Arc<dyn MemoryBudget>,
    limit: usize,
    used: AtomicUsize,
}

impl MemoryBudget for Bounded {
    fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        let taken = if used.saturating_add(bytes) > self.limit {
            let (scope, setting) = ("query", "querier.reads.max_memory_per_query");
            Err(OverBudget { scope, limit: self.limit, used, asked: bytes, setting, biggest: None })
        } else {
            self.whole.take(bytes)
        };
        if taken.is_err() {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.whole.give(bytes);
    }
}
