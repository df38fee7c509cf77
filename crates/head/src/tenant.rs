//! What a partition holds of one tenant.
//!
//! Admission is here (DESIGN section 3): what becomes of one sample depends
//! on the series, the tenant's highest time and the out-of-order window in
//! force, all of which follow from the log.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;
use varve_model::{Histogram, Labels, Metadata, WINDOW_MS, window_end};
use varve_wire::batch::{BatchSeries, Sample, Samples};

use crate::RefusalReason;
use crate::Result;
use crate::buffer::{Buffer, Value};
use crate::chunk::{Chunk, Data};
use crate::dictionary::{PairId, Pairs};
use crate::index::Index;
use crate::sealed::Files;
use crate::series::Series;
use crate::series_map::SeriesMap;
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
    pub(crate) series: SeriesMap,
    /// References by the hash of the labels.
    by_labels: HashTable<u64>,
    hasher: DefaultHashBuilder,
    pub(crate) index: Index,
    pub(crate) metadata: BTreeMap<Arc<str>, Vec<Metadata>>,
    /// Highest time of an accepted sample; `i64::MIN` when there is none.
    pub(crate) max_time: i64,
    pub(crate) out_of_order: i64,
    /// The highest catalog version whose commit let samples leave.
    pub(crate) released_at: u64,
    /// Newest times of series whose chunks did not tell at the last seal.
    pub(crate) untold: Vec<(u64, i64)>,
    /// Highest time of any sealed chunk; `i64::MIN` when there is none.
    pub(crate) sealed_until: i64,
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

/// File and offset of a sealed chunk.
type Place = (u64, u64);

/// Sealed chunks that were read before the state was locked.
pub(crate) type Loaded = HashMap<Place, Arc<Buffer>>;

/// Where a chunk lies when it is sealed.
pub(crate) fn place(chunk: &Chunk) -> Option<Place> {
    match &chunk.data {
        Data::Sealed(sealed) => Some((sealed.file.id, sealed.offset)),
        _ => None,
    }
}

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
            series: SeriesMap::default(),
            by_labels: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            index: Index::default(),
            metadata: BTreeMap::new(),
            max_time: i64::MIN,
            out_of_order: DEFAULT_OUT_OF_ORDER,
            released_at: 0,
            untold: Vec::new(),
            sealed_until: i64::MIN,
            memory: 0,
        }
    }
}

impl Tenant {
    /// The reference of the series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u64> {
        let hash = self.hasher.hash_one(labels.as_bytes());
        let is = |r: &u64| {
            let series = self.series.get(*r);
            series.is_some_and(|s| s.hash == hash && self.index.is(&s.pairs, labels))
        };
        self.by_labels.find(hash, is).copied()
    }

    /// Takes new labels under a reference higher than all before; `fill` gives
    /// the series what it has already.
    pub(crate) fn add(&mut self, reference: u64, labels: &Labels, fill: impl FnOnce(&mut Series)) {
        let hash = self.hasher.hash_one(labels.as_bytes());
        let mut series = Series::new(reference, hash, self.index.add(reference, labels));
        fill(&mut series);
        Self::charge(&mut self.memory, &mut series);
        self.series.insert(series);
        let hash_of = |r: &u64| self.series.get(*r).map_or(0, |s| s.hash);
        self.by_labels.insert_unique(hash, reference, hash_of);
    }

    /// The pairs of a series.
    pub(crate) fn pairs(&self, reference: u64) -> Option<&[PairId]> {
        self.series.get(reference).map(|s| &*s.pairs)
    }

    /// The labels of a series; empty when there is none.
    pub(crate) fn labels(&self, reference: u64) -> Labels {
        let series = self.series.get(reference);
        series.map_or_else(Labels::empty, |s| self.index.dictionary().labels(&s.pairs))
    }

    /// Removes the series that hold nothing; returns how many.
    pub(crate) fn remove_empty(&mut self) -> u64 {
        let empty = self.series.values().filter(|s| s.is_empty());
        let mut gone: Vec<(u64, Pairs)> =
            empty.map(|s| (s.reference, Arc::clone(&s.pairs))).collect();
        if gone.is_empty() {
            return 0;
        }
        gone.sort_unstable_by_key(|(r, _)| *r);
        self.index.remove(&gone);
        for (reference, _) in &gone {
            let Some(series) = self.series.remove(*reference) else { continue };
            self.memory = self.memory.saturating_sub(series.charged as usize);
            if let Ok(place) = self.by_labels.find_entry(series.hash, |r| r == reference) {
                place.remove();
            }
        }
        let hash_of = |r: &u64| self.series.get(*r).map_or(0, |s| s.hash);
        if self.by_labels.len() * 4 < self.by_labels.capacity() {
            self.by_labels.shrink_to_fit(hash_of);
        }
        gone.len() as u64
    }

    /// Brings a series' account up to date.
    pub(crate) fn charge(memory: &mut usize, series: &mut Series) {
        let now = u32::try_from(series.memory()).unwrap_or(u32::MAX);
        *memory = (*memory + now as usize).saturating_sub(series.charged as usize);
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
        files: &Files,
        out: &mut Vec<(Chunk, Labels)>,
    ) {
        let Some(series) = self.series.get(reference) else { return };
        let mut wanted: HashMap<Place, Chunk> = HashMap::new();
        let floats = batch.floats.iter().map(|s| s.time);
        let times = floats.chain(batch.histograms.iter().map(|s| s.time));
        for time in times.filter(|t| *t <= series.newest) {
            let there = series.chunks_at(files, time);
            wanted.extend(there.filter_map(|c| Some((place(&c)?, c))));
        }
        out.extend(wanted.into_values().map(|chunk| (chunk, self.labels(reference))));
    }

    /// Applies one series of a batch.
    pub(crate) fn apply(
        &mut self,
        reference: u64,
        batch: BatchSeries,
        index: u64,
        windows: &mut Windows,
        (files, loaded): (&Files, &Loaded),
    ) -> Result<SeriesOutcome> {
        let mut outcome = SeriesOutcome::default();
        let Some(series) = self.series.get_mut(reference) else { return Ok(outcome) };
        for Sample { time, value, start } in in_order(batch.floats, batch.histograms) {
            let is_float = matches!(value, Value::Float(_));
            let admission = Admit {
                series: &mut *series,
                max_time: &mut self.max_time,
                out_of_order: self.out_of_order,
                windows: &mut *windows,
                files,
                loaded,
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
    files: &'a Files,
    loaded: &'a Loaded,
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
            let buffered = self.series.buffered(time).map(|there| told(&there, &value));
            if let Some(Admission::There) = buffered {
                return Ok(Admission::There);
            }
            // A shipped chunk may hold this value beside a later one.
            if let Some(admission) = self.in_chunks(time, &value)?.or(buffered) {
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
        let mut verdict = None;
        for chunk in self.series.chunks_at(self.files, time) {
            let buffer = match place(&chunk).and_then(|p| self.loaded.get(&p)) {
                Some(buffer) => Arc::clone(buffer),
                None => chunk.decode(Labels::empty)?,
            };
            let Some(there) = buffer.get(time) else { continue };
            let cut = self.windows.cut_at(chunk.window(), chunk.last_index);
            let shipped = cut.is_some_and(|c| c.shipped.is_some());
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
fn in_order(
    floats: Samples<f64>,
    histograms: Samples<Arc<Histogram>>,
) -> impl Iterator<Item = Sample<Value>> {
    let sorted = histograms.is_empty() && floats.is_sorted_by_key(|s| s.time);
    let float = |Sample { time, start, value }| Sample { time, start, value: Value::Float(value) };
    let histogram =
        |Sample { time, start, value }| Sample { time, start, value: Value::Histogram(value) };
    let all = floats.into_iter().map(float).chain(histograms.into_iter().map(histogram));
    let mut all: SmallVec<[Sample<Value>; 1]> = all.collect();
    if !sorted {
        all.sort_by_key(|s| s.time);
    }
    all.into_iter()
}
