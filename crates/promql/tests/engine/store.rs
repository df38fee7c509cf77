//! Series for the tests, a budget with a limit, and a source that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::BoxStream;
use varve_model::{ErrorKind, Matcher, Series, TimeRange};
use varve_promql::engine::{Cancel, Engine, EngineError, EngineOptions, Query};
use varve_promql::parse::{Options, SequenceValue, parse_series_desc};
use varve_promql::source::{
    Charge, Estimate, MemoryBudget, OverBudget, SelectRequest, SeriesBatch, SeriesSource,
    SourceError,
};
use varve_promql::value::QueryOutput;

/// A budget with a limit.
pub(crate) struct Budget {
    used: AtomicUsize,
    pub(crate) limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }
}

impl MemoryBudget for Budget {
    fn take(&self, asked: usize) -> Result<(), OverBudget> {
        let (used, limit) = (self.used(), self.limit);
        if used.saturating_add(asked) > limit {
            return Err(OverBudget {
                scope: "query",
                limit,
                used,
                asked,
                setting: "test",
                biggest: None,
            });
        }
        self.used.fetch_add(asked, Ordering::SeqCst);
        Ok(())
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
    }
}

/// Series in batches of some size.
pub(crate) struct Memory {
    pub(crate) series: Vec<Series>,
    pub(crate) batch: usize,
    pub(crate) budget: Arc<Budget>,
    /// What the source says instead of series.
    pub(crate) error: Option<SourceError>,
}

impl SeriesSource for Memory {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        let budget = Arc::clone(&request.budget);
        if let Some(error) = &self.error {
            return futures::stream::iter([Err(error.clone())]).boxed();
        }
        let matching =
            |s: &&Series| request.matchers.iter().all(|m| m.matches(s.labels.get(m.name())));
        let taken: Vec<Series> = self.series.iter().filter(matching).cloned().collect();
        let batches: Vec<_> = taken.chunks(self.batch.max(1)).map(<[Series]>::to_vec).collect();
        let charged = move |series: Vec<Series>| {
            let bytes = series.iter().map(Series::memory).sum();
            let over =
                |e: OverBudget| SourceError { kind: ErrorKind::Execution, message: e.to_string() };
            let charge = Charge::take(&budget, bytes).map_err(over)?;
            Ok(SeriesBatch::new(series, charge))
        };
        futures::stream::iter(batches).map(charged).boxed()
    }

    fn estimate(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>> {
        if let Some(error) = &self.error {
            return std::future::ready(Err(error.clone())).boxed();
        }
        let mut estimate = Estimate { requests: 1, ..Estimate::default() };
        let fits = |s: &&Series| matchers.iter().all(|m| m.matches(s.labels.get(m.name())));
        for s in self.series.iter().filter(fits) {
            let times = s.floats.times.iter().chain(&s.histograms.times);
            let samples = times.filter(|t| range.contains(**t)).count() as u64;
            estimate.series += u64::from(samples > 0);
            estimate.samples += samples;
            estimate.bytes += 16 * samples;
        }
        std::future::ready(Ok(estimate)).boxed()
    }
}

/// Series from descriptions, a sample a minute from time zero.
pub(crate) fn series(descriptions: &[&str]) -> Vec<Series> {
    let one = |text: &&str| {
        let (labels, values) = parse_series_desc(text).expect("a description");
        let mut s = Series { labels, ..Series::default() };
        for (i, v) in values.into_iter().enumerate() {
            let time = i as i64 * 60_000;
            match v {
                SequenceValue::Omitted => {}
                SequenceValue::Float(v) => s.floats.push(time, v, 0),
                SequenceValue::Histogram { histogram, .. } => {
                    s.histograms.push(time, Arc::from(histogram), 0);
                }
            }
        }
        s
    };
    descriptions.iter().map(one).collect()
}

/// The engine with everything allowed, names dropped at once or later.
pub(crate) fn engine(delayed_name_removal: bool) -> Engine {
    Engine::new(EngineOptions {
        threads: 3,
        delayed_name_removal,
        parse: Options::all(),
        ..EngineOptions::default()
    })
}

/// Asks, and checks that all memory is given back.
pub(crate) fn ask(
    engine: &Engine,
    memory: Memory,
    query: &Query,
    cancel: Cancel,
) -> Result<QueryOutput, EngineError> {
    let budget = Arc::clone(&memory.budget);
    let shared: Arc<dyn MemoryBudget> = Arc::clone(&budget) as _;
    let answer = block_on(engine.run(query, Arc::new(memory), shared, cancel));
    assert_eq!(budget.used(), 0, "memory is still charged after {}", query.text);
    answer
}

/// Asks without limits.
pub(crate) fn answer(
    engine: &Engine,
    series: Vec<Series>,
    query: &Query,
) -> Result<QueryOutput, EngineError> {
    let budget = Budget::new(usize::MAX);
    let memory = Memory { series, batch: 2, budget, error: None };
    ask(engine, memory, query, Cancel::default())
}
