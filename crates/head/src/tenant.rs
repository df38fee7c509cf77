//! What a partition holds of one tenant.
//!
//! Admission is here (DESIGN section 3): what becomes of one sample depends
//! on the series, the tenant's highest time and the out-of-order window in
//! force, all of which follow from the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use varve_model::{Labels, Metadata, WINDOW_MS, window_end};
use varve_wire::batch::BatchSeries;

use crate::RefusalReason;
use crate::Result;
use crate::buffer::{Buffer, Value};
use crate::chunk::{Chunk, Data};
use crate::index::Index;
use crate::series::Series;
use crate::windows::Windows;

/// Samples lie strictly within ±this, so that every one has a whole window.
const MAX_TIME: i64 = i64::MAX / 2;
/// The out-of-order window of a tenant whose configuration has not come yet.
pub(crate) const DEFAULT_OUT_OF_ORDER: i64 = WINDOW_MS;
/// Different texts kept of one metric family, the newest last.
const MAX_METADATA: usize = 4;
/// Metric families whose metadata is kept.
const MAX_FAMILIES: usize = 100_000;

/// One tenant's series and their index.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) series: HashMap<u64, Series>,
    pub(crate) by_labels: HashMap<Labels, u64>,
    pub(crate) index: Index,
    pub(crate) metadata: BTreeMap<Arc<str>, Vec<Metadata>>,
    /// Highest time of an accepted sample; `i64::MIN` when there is none.
    pub(crate) max_time: i64,
    pub(crate) out_of_order: i64,
    /// The highest catalog version whose commit let samples leave.
    pub(crate) released_at: u64,
    /// Bytes of memory behind the series.
    pub(crate) memory: usize,
}

/// What became of one series of a batch.
#[derive(Debug, Default)]
pub(crate) struct SeriesOutcome {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    pub(crate) refused: Vec<Refused>,
}

/// Refused samples of one series and reason.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: RefusalReason,
    /// Time of the first.
    pub(crate) time: i64,
    pub(crate) count: u32,
    /// The tenant's highest time when the first was refused.
    pub(crate) max_time: i64,
}

/// Sealed chunks that were read before the state was locked, by file and offset.
pub(crate) type Loaded = HashMap<(u64, u64), Arc<Buffer>>;

/// What an admission decided.
enum Admission {
    /// Stored.
    Stored,
    /// There already, with the same value.
    There,
    Refused(RefusalReason),
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            series: HashMap::new(),
            by_labels: HashMap::new(),
            index: Index::default(),
            metadata: BTreeMap::new(),
            max_time: i64::MIN,
            out_of_order: DEFAULT_OUT_OF_ORDER,
            released_at: 0,
            memory: 0,
        }
    }
}

impl Tenant {
    /// Takes a series with a reference higher than all before.
    pub(crate) fn add(&mut self, mut series: Series) {
        self.index.add(series.reference, &series.labels);
        self.by_labels.insert(series.labels.clone(), series.reference);
        series.charged = series.memory();
        self.memory += series.charged;
        self.series.insert(series.reference, series);
    }

    /// Removes the series that hold nothing.
    pub(crate) fn remove_empty(&mut self) {
        let empty = self.series.values().filter(|s| s.is_empty());
        let mut gone: Vec<(u64, Labels)> = empty.map(|s| (s.reference, s.labels.clone())).collect();
        if gone.is_empty() {
            return;
        }
        gone.sort_unstable_by_key(|(r, _)| *r);
        self.index.remove(&gone);
        for (reference, labels) in &gone {
            self.by_labels.remove(labels);
            if let Some(series) = self.series.remove(reference) {
                self.memory -= series.charged.min(self.memory);
            }
        }
    }

    /// Brings a series' account up to date.
    pub(crate) fn charge(memory: &mut usize, series: &mut Series) {
        let now = series.memory();
        *memory = (*memory + now).saturating_sub(series.charged);
        series.charged = now;
    }

    /// Keeps what a metric family says of itself; the newest last.
    pub(crate) fn add_metadata(&mut self, metric: &str, metadata: Metadata) {
        if !self.metadata.contains_key(metric) && self.metadata.len() >= MAX_FAMILIES {
            return;
        }
        let known = self.metadata.entry(metric.into()).or_default();
        if known.last() == Some(&metadata) {
            return;
        }
        known.retain(|m| *m != metadata);
        known.push(metadata);
        if known.len() > MAX_METADATA {
            known.remove(0);
        }
    }

    /// Sealed chunks that must be read before [`Tenant::apply`] can tell
    /// whether a sample is there already.
    pub(crate) fn sealed_at(
        &self,
        reference: u64,
        batch: &BatchSeries,
        out: &mut Vec<(Chunk, Labels)>,
    ) {
        let Some(series) = self.series.get(&reference) else { return };
        let mut wanted: Vec<usize> = batch
            .floats
            .times
            .iter()
            .chain(&batch.histograms.times)
            .filter(|t| **t <= series.newest)
            .flat_map(|t| series.chunks_at(*t))
            .filter(|i| series.chunks[*i].is_sealed())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        out.extend(wanted.into_iter().map(|i| (series.chunks[i].clone(), series.labels.clone())));
    }

    /// Applies one series of a batch.
    pub(crate) fn apply(
        &mut self,
        reference: u64,
        batch: BatchSeries,
        index: u64,
        windows: &mut Windows,
        loaded: &Loaded,
    ) -> Result<SeriesOutcome> {
        let mut outcome = SeriesOutcome::default();
        let Some(series) = self.series.get_mut(&reference) else { return Ok(outcome) };
        let mut decoded: HashMap<usize, Arc<Buffer>> = HashMap::new();
        for (time, value, start) in in_order(&batch) {
            let is_float = matches!(value, Value::Float(_));
            let admission = Admit {
                series: &mut *series,
                max_time: &mut self.max_time,
                out_of_order: self.out_of_order,
                windows: &mut *windows,
                loaded,
                decoded: &mut decoded,
                index,
            }
            .sample(time, value, start)?;
            match admission {
                Admission::Refused(reason) => outcome.refuse(reason, time, self.max_time),
                Admission::Stored | Admission::There if is_float => outcome.samples += 1,
                Admission::Stored | Admission::There => outcome.histograms += 1,
            }
        }
        // Exemplars are often older than the scrape that carried them.
        let oldest = self.max_time.saturating_sub(self.out_of_order.max(WINDOW_MS));
        for exemplar in batch.exemplars {
            let time = exemplar.timestamp;
            if !(-MAX_TIME < time && time < MAX_TIME) {
                outcome.refuse(RefusalReason::TooOld, time, self.max_time);
            } else if time <= oldest {
                outcome.refuse(RefusalReason::OutOfOrder, time, self.max_time);
            } else {
                outcome.exemplars += 1;
                if series.push_exemplar(exemplar, index) {
                    windows.add_uncut(window_end(time), 1);
                }
            }
        }
        Self::charge(&mut self.memory, series);
        Ok(outcome)
    }
}

/// One sample at the door.
struct Admit<'a> {
    series: &'a mut Series,
    max_time: &'a mut i64,
    out_of_order: i64,
    windows: &'a mut Windows,
    loaded: &'a Loaded,
    decoded: &'a mut HashMap<usize, Arc<Buffer>>,
    index: u64,
}

impl Admit<'_> {
    fn sample(&mut self, time: i64, value: Value, start: i64) -> Result<Admission> {
        if !(-MAX_TIME < time && time < MAX_TIME) {
            return Ok(Admission::Refused(RefusalReason::TooOld));
        }
        let value = value.normal();
        if time > self.series.newest {
            self.series.push(time, value, start, self.index)?;
        } else {
            if let Some(there) = self.series.buffered(time) {
                return Ok(told(&there, &value));
            }
            if let Some(admission) = self.in_chunks(time, &value)? {
                return Ok(admission);
            }
            if time <= self.max_time.saturating_sub(self.out_of_order) {
                return Ok(Admission::Refused(RefusalReason::OutOfOrder));
            }
            self.series.push_late(time, value, start, self.index)?;
        }
        *self.max_time = time.max(*self.max_time);
        self.windows.add_uncut(window_end(time), 1);
        Ok(Admission::Stored)
    }

    /// Looks among the closed chunks. A different value in a shipped one is no
    /// reason to refuse: the merge of blocks decides.
    fn in_chunks(&mut self, time: i64, value: &Value) -> Result<Option<Admission>> {
        let places: Vec<usize> = self.series.chunks_at(time).collect();
        let mut verdict = None;
        for i in places {
            let chunk = &self.series.chunks[i];
            let buffer = match self.decoded.get(&i) {
                Some(buffer) => Arc::clone(buffer),
                None => {
                    let loaded = match &chunk.data {
                        Data::Sealed(s) => self.loaded.get(&(s.file.id, s.offset)).cloned(),
                        _ => None,
                    };
                    let buffer = match loaded {
                        Some(buffer) => buffer,
                        None => chunk.decode(&self.series.labels)?,
                    };
                    self.decoded.insert(i, Arc::clone(&buffer));
                    buffer
                }
            };
            let Some(there) = buffer.get(time) else { continue };
            let shipped = self.windows.cut_of(chunk).is_some_and(|c| c.shipped.is_some());
            match told(&there, value) {
                Admission::Refused(_) if shipped => {}
                Admission::Refused(reason) => verdict = Some(Admission::Refused(reason)),
                same => return Ok(Some(same)),
            }
        }
        Ok(verdict)
    }
}

fn told(there: &Value, value: &Value) -> Admission {
    if there.same(value) { Admission::There } else { Admission::Refused(RefusalReason::Duplicate) }
}

impl SeriesOutcome {
    fn refuse(&mut self, reason: RefusalReason, time: i64, max_time: i64) {
        match self.refused.iter_mut().find(|r| r.reason == reason) {
            Some(refused) => refused.count += 1,
            None => self.refused.push(Refused { reason, time, count: 1, max_time }),
        }
    }
}

/// The samples by time; among equal times floats first, then as sent.
fn in_order(batch: &BatchSeries) -> impl Iterator<Item = (i64, Value, i64)> {
    let (f, h) = (&batch.floats, &batch.histograms);
    let mut order: Vec<(i64, usize)> = Vec::new();
    let sorted = h.is_empty() && f.times.is_sorted();
    if !sorted {
        order.extend(f.times.iter().chain(&h.times).copied().zip(0..));
        order.sort_unstable();
    }
    let count = f.len() + h.len();
    (0..count).map(move |i| {
        let at = if sorted { i } else { order[i].1 };
        match at.checked_sub(f.len()) {
            None => (f.times[at], Value::Float(f.values[at]), f.start(at)),
            Some(at) => (h.times[at], Value::Histogram(Arc::clone(&h.values[at])), h.start(at)),
        }
    })
}
