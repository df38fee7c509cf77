//! The engine over lists of series. Histograms are given the reset hints that
//! Prometheus' storage would give them.

use std::sync::Arc;

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use varve_model::{Counts, Histogram, Matcher, ResetHint, Series, TimeRange};
use varve_promql::engine::{Cancel, Engine, Query};
use varve_promql::source::{
    Charge, Estimate, MemoryBudget, OverBudget, SelectRequest, SeriesBatch, SeriesSource,
    SourceError,
};

use super::{Place, Reply};

/// A budget without a limit, which counts.
#[derive(Default)]
struct Unlimited(std::sync::atomic::AtomicI64);

impl Unlimited {
    /// Bytes that were taken and not given back.
    fn in_use(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl MemoryBudget for Unlimited {
    fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        self.0.fetch_add(bytes as i64, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_sub(bytes as i64, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Series in lists, and the engine over them.
pub struct Memory {
    engine: Engine,
    store: Store,
}

/// Stored series.
#[derive(Clone, Default)]
struct Store {
    series: Arc<Vec<Series>>,
    budget: Arc<Unlimited>,
}

impl Memory {
    /// Without series.
    pub fn new() -> Self {
        Self { engine: Engine::new(super::options()), store: Store::default() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Place for Memory {
    fn clear(&mut self) {
        self.store = Store::default();
    }

    fn load(&mut self, series: Vec<Series>) {
        let all = Arc::make_mut(&mut self.store.series);
        series.into_iter().for_each(|s| append(all, s));
    }

    fn ask(&mut self, query: &Query) -> Result<Reply, String> {
        let (source, budget) = (Arc::new(self.store.clone()), Arc::clone(&self.store.budget));
        let answer = block_on(self.engine.run(query, source, budget, Cancel::default()));
        let answer = answer.map(Reply::from).map_err(|e| e.to_string());
        assert_eq!(self.store.budget.in_use(), 0, "memory is still charged after {}", query.text);
        answer
    }
}

fn append(all: &mut Vec<Series>, new: Series) {
    let at = all.iter().position(|s| s.labels == new.labels).unwrap_or_else(|| {
        all.push(Series { labels: new.labels.clone(), ..Series::default() });
        all.len() - 1
    });
    let series = &mut all[at];
    let newest = series.floats.times.last().max(series.histograms.times.last()).copied();
    let oldest = new.floats.times.first().into_iter().chain(new.histograms.times.first()).min();
    assert!(oldest > newest.as_ref(), "{}: samples are not newer than what is there", new.labels);
    let Series { floats, histograms, .. } = new;
    for i in 0..histograms.len() {
        let mut h = (*histograms.values[i]).clone();
        let t = histograms.times[i];
        let earlier = |times: &[i64]| times[..times.partition_point(|x| *x < t)].last().copied();
        let last_float = earlier(&floats.times).max(series.floats.times.last().copied());
        let run = series.histograms.times.last().copied() > last_float;
        let before = series.histograms.values.last().filter(|_| run);
        h.reset_hint = hint(before.map(|b| &**b), &h);
        series.histograms.push(t, Arc::new(h), histograms.start(i));
    }
    for i in 0..floats.len() {
        series.floats.push(floats.times[i], floats.values[i], floats.start(i));
    }
}

/// Within a run of histograms without a reset it is known that there was none.
fn hint(before: Option<&Histogram>, now: &Histogram) -> ResetHint {
    match (before, now.reset_hint) {
        (_, ResetHint::Gauge) => ResetHint::Gauge,
        (_, ResetHint::CounterReset) | (None, _) => ResetHint::Unknown,
        (Some(b), _) if b.reset_hint == ResetHint::Gauge || b.is_stale() => ResetHint::Unknown,
        (Some(b), _) if continues(b, now) => ResetHint::NotCounterReset,
        _ => ResetHint::Unknown,
    }
}

/// Whether Prometheus would append to the same chunk.
fn continues(before: &Histogram, now: &Histogram) -> bool {
    if now.is_stale() {
        return true;
    }
    let layout = before.schema == now.schema
        && before.zero_threshold == now.zero_threshold
        && before.custom_bounds == now.custom_bounds;
    let (old, new) = (buckets(before), buckets(now));
    let at = |all: &[(bool, i64, f64)], key: (bool, i64)| {
        all.iter().find(|b| (b.0, b.1) == key).map_or(0.0, |b| b.2)
    };
    layout
        && now.count() >= before.count()
        && now.zero_count() >= before.zero_count()
        && old.iter().all(|(negative, i, c)| at(&new, (*negative, *i)) >= *c)
}

/// The populated buckets: side, index, count.
pub(crate) fn buckets(h: &Histogram) -> Vec<(bool, i64, f64)> {
    let (positive, negative) = match &h.to_float().counts {
        Counts::Float { positive, negative, .. } => (positive.clone(), negative.clone()),
        Counts::Int { .. } => unreachable!("float counts were asked for"),
    };
    let mut out = Vec::new();
    for (is_negative, spans, counts) in
        [(false, &h.positive_spans, positive), (true, &h.negative_spans, negative)]
    {
        let mut counts = counts.into_iter();
        let mut index = 0i64;
        for s in spans {
            index += i64::from(s.offset);
            for _ in 0..s.length {
                let c = counts.next().unwrap_or(0.0);
                if c != 0.0 {
                    out.push((is_negative, index, c));
                }
                index += 1;
            }
        }
    }
    out
}

impl SeriesSource for Store {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        let series = Arc::clone(&self.series);
        let budget = Arc::clone(&request.budget);
        let taken: Vec<Series> = series
            .iter()
            .filter(|s| request.matchers.iter().all(|m| m.matches(s.labels.get(m.name()))))
            .map(|s| cut(s, &request))
            .filter(|s| !s.is_empty())
            .collect();
        // Small batches, so that operators see more than one.
        let batches: Vec<_> = taken
            .chunks(3)
            .map(|part| {
                let bytes = part.iter().map(Series::memory).sum();
                let charge = Charge::take(&budget, bytes).expect("no limit");
                Ok(SeriesBatch::new(part.to_vec(), charge))
            })
            .collect();
        futures::stream::iter(batches).boxed()
    }

    fn estimate(
        &self,
        _: Vec<Matcher>,
        _: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>> {
        unreachable!("scripts explain nothing")
    }
}

/// Only what was asked for, so that a request for too little is noticed.
fn cut(s: &Series, request: &SelectRequest) -> Series {
    let mut out = Series { labels: s.labels.clone(), ..Series::default() };
    for i in (0..s.floats.len()).filter(|i| request.range.contains(s.floats.times[*i])) {
        out.floats.push(s.floats.times[i], s.floats.values[i], s.floats.start(i));
    }
    for i in (0..s.histograms.len()).filter(|i| request.range.contains(s.histograms.times[*i])) {
        let h = Arc::clone(&s.histograms.values[i]);
        out.histograms.push(s.histograms.times[i], h, s.histograms.start(i));
    }
    out
}
