//! What every operator of one query shares: where series come from, what
//! memory is charged to, what ends the query, and the annotations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use varve_model::ErrorKind;

use super::row::{Batch, Row};
use crate::annotations::{Annotation, Annotations};
use crate::engine::{Cancel, EngineError, EngineOptions};
use crate::source::{Charge, MemoryBudget, SeriesSource};
use crate::value::QueryStats;

/// The surroundings of one query.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a EngineOptions,
    pub(crate) source: Arc<dyn SeriesSource>,
    pub(crate) budget: Arc<dyn MemoryBudget>,
    pub(crate) cancel: Cancel,
    annotations: Mutex<Annotations>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    samples: AtomicU64,
    peak: AtomicU64,
    samples_read: AtomicU64,
    series_read: AtomicU64,
}

/// Memory and samples that are counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    charges: Vec<Charge>,
    samples: u64,
    counters: Arc<Counters>,
}

impl Hold {
    /// Holds what the other holds, too.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.charges.append(&mut other.charges);
        self.samples += std::mem::take(&mut other.samples);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.counters.samples.fetch_sub(self.samples, Ordering::Relaxed);
    }
}

impl<'a> Context<'a> {
    /// The surroundings of a query that begins.
    pub(crate) fn new(
        options: &'a EngineOptions,
        source: Arc<dyn SeriesSource>,
        budget: Arc<dyn MemoryBudget>,
        cancel: Cancel,
    ) -> Self {
        let (annotations, counters) = (Mutex::default(), Arc::default());
        Self { options, source, budget, cancel, annotations, counters }
    }

    /// Says something about the answer.
    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).add(annotation);
    }

    /// All that was said.
    pub(crate) fn take_annotations(&self) -> Annotations {
        std::mem::take(&mut *self.annotations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts what came from the source.
    pub(crate) fn count_read(&self, series: usize, samples: usize) {
        self.counters.series_read.fetch_add(series as u64, Ordering::Relaxed);
        self.counters.samples_read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// What the query cost up to now.
    pub(crate) fn stats(&self) -> QueryStats {
        QueryStats {
            samples_read: self.counters.samples_read.load(Ordering::Relaxed),
            series_read: self.counters.series_read.load(Ordering::Relaxed),
            peak_samples: self.counters.peak.load(Ordering::Relaxed),
        }
    }

    /// Charges memory, and counts samples against the limit.
    pub(crate) fn hold(&self, bytes: usize, samples: u64) -> Result<Hold, EngineError> {
        let charges = match bytes {
            0 => Vec::new(),
            n => vec![Charge::take(&self.budget, n)?],
        };
        let now = self.counters.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        let hold = Hold { charges, samples, counters: Arc::clone(&self.counters) };
        self.counters.peak.fetch_max(now, Ordering::Relaxed);
        let limit = self.options.max_samples;
        if limit > 0 && now > limit {
            return Err(EngineError {
                kind: ErrorKind::Execution,
                message:
                    "query processing would load too many samples into memory in query execution"
                        .to_owned(),
            });
        }
        Ok(hold)
    }

    /// Charges for the cells of rows that are about to be made, so that no
    /// grid is too large to be allocated. Held only while they are made.
    pub(crate) fn room(&self, rows: usize, steps: usize) -> Result<Hold, EngineError> {
        self.hold(rows.saturating_mul(steps).saturating_mul(8), 0)
    }

    /// Charges for rows that were just made. Rows without samples are dropped.
    pub(crate) fn batch(&self, mut rows: Vec<Row>) -> Result<Batch, EngineError> {
        rows.retain(|row| !row.is_empty());
        let bytes = rows.iter().map(Row::memory).sum();
        let samples = rows.iter().map(Row::samples).sum();
        Ok(Batch { hold: self.hold(bytes, samples)?, rows })
    }

    /// An error when the query was ended.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.cancel.check()
    }
}
