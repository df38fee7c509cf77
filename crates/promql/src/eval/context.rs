//! What every operator of one query shares: where series come from, what
//! memory is charged to, what ends the query, and the annotations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;
use varve_model::{ErrorKind, TimeRange};

use super::ledger::Ledger;
use super::meter::Meter;
use super::row::{Batch, Row};
use super::tally::{Counts, Tally};
use super::twins::{Said, Twins};
use super::work::Workers;
use crate::annotations::{Annotation, Annotations};
use crate::engine::{Cancel, EngineError, EngineOptions, Query};
use crate::explain::Cost;
use crate::plan::{Leaf, PartId, Plan, ScopeId, Twin, TwinId};
use crate::source::{MemoryBudget, Reads, SeriesSource};
use crate::value::QueryStats;

/// The surroundings of one query, or of a part of it that has twins.
#[derive(Clone)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a EngineOptions,
    pub(crate) workers: &'a Workers,
    pub(crate) source: Arc<dyn SeriesSource>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) cancel: Cancel,
    pub(super) twins: Arc<Twins>,
    annotations: Arc<Mutex<Annotations>>,
    counters: Arc<Counters>,
    tally: Arc<Tally>,
    /// How many selectors read the same as a part's, where that is more than it.
    uses: Arc<HashMap<PartId, usize>>,
    /// One a part, when parts are measured.
    meters: Option<Arc<[Meter]>>,
    /// What the part says and counts, and those that it is within.
    said: Vec<Arc<Mutex<Said>>>,
    /// The surroundings of the twins that are evaluated in these.
    within: HashMap<PartId, (TwinId, Self)>,
}

#[derive(Debug, Default)]
struct Counters {
    samples: AtomicU64,
    peak: AtomicU64,
    series_read: AtomicU64,
}

/// Memory and samples that are counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    ledger: Arc<Ledger>,
    /// Bytes by the part whose they are.
    bytes: SmallVec<[(PartId, usize); 1]>,
    samples: u64,
    counters: Arc<Counters>,
}

impl Hold {
    /// Holds what the other holds, too.
    pub(crate) fn merge(&mut self, mut other: Self) {
        for (part, bytes) in std::mem::take(&mut other.bytes) {
            match self.bytes.iter_mut().find(|(known, _)| *known == part) {
                Some((_, sum)) => *sum += bytes,
                None => self.bytes.push((part, bytes)),
            }
        }
        self.samples += std::mem::take(&mut other.samples);
    }

    /// Says whose memory it is.
    pub(crate) fn assign(&mut self, part: PartId) {
        let mut sum = 0;
        for (from, bytes) in std::mem::take(&mut self.bytes) {
            self.ledger.assign(from, part, bytes);
            sum += bytes;
        }
        if sum > 0 {
            self.bytes.push((part, sum));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for (part, bytes) in &self.bytes {
            self.ledger.give(*part, *bytes);
        }
        self.counters.samples.fetch_sub(self.samples, Ordering::Relaxed);
    }
}

impl<'a> Context<'a> {
    /// The surroundings of a query that begins.
    pub(crate) fn new(
        (options, workers): (&'a EngineOptions, &'a Workers),
        source: Arc<dyn SeriesSource>,
        budget: Arc<dyn MemoryBudget>,
        cancel: Cancel,
        (query, plan): (&Query, &Plan),
    ) -> Self {
        let twins = plan.twins(&query.text);
        let whole = Self {
            options,
            workers,
            source,
            ledger: Ledger::new(budget, &query.text, plan),
            cancel,
            twins: Arc::new(Twins::new(&twins.sizes)),
            annotations: Arc::default(),
            counters: Arc::default(),
            tally: Arc::new(Tally::new(plan.scopes.len())),
            uses: Arc::new(uses(plan)),
            meters: query.analyze.then(|| plan.parts.iter().map(|_| Meter::default()).collect()),
            said: Vec::new(),
            within: HashMap::new(),
        };
        whole.around(&twins.all)
    }

    /// The same around these twins.
    fn around(self, twins: &[Twin]) -> Self {
        let within = |twin: &Twin| {
            let mut inner = self.clone();
            inner.said.push(Arc::default());
            (twin.part, (twin.id, inner.around(&twin.within)))
        };
        let within = twins.iter().map(within).collect();
        Self { within, ..self }
    }

    /// The number of a part's twins, and what it is evaluated in if it is the
    /// first of them.
    pub(super) fn twin(&self, part: PartId) -> Option<(TwinId, &Self)> {
        self.within.get(&part).map(|(id, within)| (*id, within))
    }

    /// What was said and counted in here.
    pub(super) fn take_said(&self) -> Said {
        self.said.last().map(|said| std::mem::take(&mut *locked(said))).unwrap_or_default()
    }

    fn each_said(&self, say: impl Fn(&mut Said)) {
        self.said.iter().for_each(|said| say(&mut locked(said)));
    }

    /// What measures a part, when parts are measured.
    pub(crate) fn meter(&self, part: PartId) -> Option<&Meter> {
        self.meters.as_ref().map(|meters| &meters[part])
    }

    /// Where it is counted what a part's selects read.
    pub(crate) fn reads(&self, part: PartId) -> Arc<Reads> {
        self.meter(part).map(|meter| Arc::clone(&meter.reads)).unwrap_or_default()
    }

    /// How many selectors of the query read the same as this part's.
    pub(crate) fn uses(&self, part: PartId) -> usize {
        self.uses.get(&part).copied().unwrap_or(1)
    }

    /// What a part has cost, when parts are measured.
    pub(crate) fn cost(&self, part: PartId) -> Option<Cost> {
        self.meter(part).map(|meter| meter.cost(self.ledger.peak(part)))
    }

    /// Says something about the answer.
    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.each_said(|said| said.annotate(annotation.clone()));
        locked(&self.annotations).add(annotation);
    }

    /// All that was said.
    pub(crate) fn take_annotations(&self) -> Annotations {
        std::mem::take(&mut *locked(&self.annotations))
    }

    /// Counts what a part's selector has read.
    pub(crate) fn count_read(&self, part: PartId, series: usize, samples: u64) {
        self.counters.series_read.fetch_add(series as u64, Ordering::Relaxed);
        if let Some(meter) = self.meter(part) {
            meter.count(series, samples);
        }
    }

    /// Counts samples of a grid.
    pub(crate) fn count(&self, scope: ScopeId, counts: &Counts) -> Result<(), EngineError> {
        self.each_said(|said| said.count(scope, counts));
        self.tally.add(self, scope, counts)
    }

    /// What the query has cost; asked once, at its end.
    pub(crate) fn stats(&self, plan: &Plan) -> QueryStats {
        let Counts { touched, read } = self.tally.total(&plan.scopes);
        QueryStats {
            samples: touched.iter().sum(),
            samples_per_step: touched,
            samples_read: read.iter().sum(),
            samples_read_per_step: read,
            series_read: self.counters.series_read.load(Ordering::Relaxed),
            peak_samples: self.counters.peak.load(Ordering::Relaxed),
        }
    }

    /// Charges memory, and counts samples against the limit.
    pub(crate) fn hold(&self, bytes: usize, samples: u64) -> Result<Hold, EngineError> {
        let mut held = SmallVec::new();
        if bytes > 0 {
            let nobody = self.ledger.nobody();
            self.ledger.take(nobody, bytes)?;
            held.push((nobody, bytes));
        }
        let now = self.counters.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        let (ledger, counters) = (Arc::clone(&self.ledger), Arc::clone(&self.counters));
        let hold = Hold { ledger, bytes: held, samples, counters };
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
        let (mut bytes, mut samples) = (0, 0);
        rows.retain(|row| {
            let kept = self.check().is_ok() && !row.is_empty();
            if kept {
                bytes += row.memory();
                samples += row.samples();
            }
            kept
        });
        self.check()?;
        Ok(Batch { hold: self.hold(bytes, samples)?, rows })
    }

    /// An error when the query was ended.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.cancel.check()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many selectors read the same, by the parts of those that are not alone.
fn uses(plan: &Plan) -> HashMap<PartId, usize> {
    let leaves = plan.leaves();
    if leaves.len() < 2 {
        return HashMap::new();
    }
    let what = |leaf: &Leaf<'_>| (format!("{:?}", leaf.matchers), leaf.range);
    let leaves: Vec<_> = leaves.iter().map(|leaf| (leaf.part, what(leaf))).collect();
    let mut same: HashMap<&(String, TimeRange), usize> = HashMap::new();
    for (_, what) in &leaves {
        *same.entry(what).or_default() += 1;
    }
    let uses = leaves.iter().map(|(part, what)| (*part, same[what]));
    uses.filter(|(_, n)| *n > 1).collect()
}
