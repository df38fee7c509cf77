//! An in-memory source of series. Histograms are given the reset hints that
//! Prometheus' storage would give them.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use varve_model::{Counts, Histogram, Labels, ResetHint, Series};
use varve_promql::parse::SequenceValue;
use varve_promql::source::{
    Charge, MemoryBudget, OverBudget, SelectRequest, SeriesBatch, SeriesSource, SourceError,
};

use crate::script::Load;

/// A budget without a limit, which counts.
#[derive(Default)]
pub(crate) struct Unlimited(std::sync::atomic::AtomicI64);

impl Unlimited {
    /// Bytes that were taken and not given back.
    pub(crate) fn in_use(&self) -> i64 {
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

/// Stored series.
#[derive(Clone)]
pub(crate) struct Store {
    series: Arc<Vec<Series>>,
    pub(crate) budget: Arc<Unlimited>,
}

/// One sample to be stored.
struct Sample {
    time: i64,
    start: i64,
    value: Value,
}

enum Value {
    Float(f64),
    Histogram(Histogram),
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { series: Arc::new(Vec::new()), budget: Arc::new(Unlimited::default()) }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Stores the series of a load.
    pub(crate) fn load(&mut self, load: &Load) {
        let mut all = (*self.series).clone();
        // Of a series that is described twice the later description counts.
        for (i, s) in load.series.iter().enumerate() {
            if load.series[i + 1..].iter().any(|later| later.labels == s.labels) {
                continue;
            }
            let mut samples = Vec::new();
            for (i, v) in s.values.iter().enumerate() {
                let time = i as i64 * load.gap;
                let start = s.starts.get(i).copied().flatten().map_or(0, |d| time + d);
                let value = match v {
                    SequenceValue::Omitted => continue,
                    SequenceValue::Float(v) => Value::Float(*v),
                    SequenceValue::Histogram { histogram, .. } => {
                        Value::Histogram((**histogram).clone())
                    }
                };
                samples.push(Sample { time, start, value });
            }
            append(&mut all, &s.labels, samples);
        }
        if load.with_nhcb {
            for (labels, histograms) in crate::nhcb::convert(load) {
                let samples = histograms.into_iter().map(|(time, h)| Sample {
                    time,
                    start: 0,
                    value: Value::Histogram(h),
                });
                append(&mut all, &labels, samples.collect());
            }
        }
        self.series = Arc::new(all);
    }
}

fn append(all: &mut Vec<Series>, labels: &Labels, samples: Vec<Sample>) {
    let at = all.iter().position(|s| s.labels == *labels).unwrap_or_else(|| {
        all.push(Series { labels: labels.clone(), ..Series::default() });
        all.len() - 1
    });
    let series = &mut all[at];
    for s in samples {
        let newest = series.floats.times.last().max(series.histograms.times.last());
        if newest.is_some_and(|t| *t >= s.time) {
            continue;
        }
        match s.value {
            Value::Float(v) => series.floats.push(s.time, v, s.start),
            Value::Histogram(mut h) => {
                let run = series.histograms.times.last() > series.floats.times.last();
                let before = series.histograms.values.last().filter(|_| run);
                h.reset_hint = hint(before.map(|b| &**b), &h);
                series.histograms.push(s.time, Arc::new(h), s.start);
            }
        }
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
        let budget: Arc<dyn MemoryBudget> = Arc::clone(&self.budget) as _;
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
                Ok(SeriesBatch { series: part.to_vec(), charge })
            })
            .collect();
        futures::stream::iter(batches).boxed()
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
