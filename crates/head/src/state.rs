//! Everything a partition holds, and what each log entry does to it.
//!
//! Applying depends on the state and the entry alone, so that every replica
//! and every replay comes to the same. One lock guards a state; it is held
//! for one entry at a time and never while a file is read.

use std::collections::{BTreeMap, HashSet};

use varve_log::{Entry, EntryKind};
use varve_model::TenantId;
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

use crate::chunk::Chunk;
use crate::entry::{ConfigEntry, CutEntry, SealEntry, ShippedEntry};
use crate::kind::Kind;
use crate::seal::{Job, Placement};
use crate::sealed::Files;
use crate::tenant::{Loaded, Refused, Tenant};
use crate::windows::{CutState, ShippedState, Windows};
use crate::{AppendOutcome, Cut, HeadError, Refusal, RefusalReason, Result};

/// What a partition holds.
#[derive(Debug)]
pub(crate) struct State {
    /// Position of the last applied entry.
    pub(crate) applied: u64,
    pub(crate) term: u64,
    /// Index of the last durable seal.
    pub(crate) sealed: u64,
    /// The reference of the next new series, of whatever tenant.
    pub(crate) next_reference: u64,
    pub(crate) windows: Windows,
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    /// Bytes of memory behind all tenants' series after the last seal.
    pub(crate) settled: usize,
    /// How many series were ever removed.
    pub(crate) removals: u64,
    /// What the sealed chunks of all series lie in.
    pub(crate) files: Files,
    /// Bytes of the last seal's manifest.
    pub(crate) manifest_len: u64,
    /// Bytes of the files that name series.
    pub(crate) series_len: u64,
}

/// A decoded entry.
#[derive(Debug)]
pub(crate) enum Command {
    /// With the value of [`State::removals`] at which all of its references
    /// were known, if that was asked.
    Batch(Box<WriteBatch>, Option<u64>),
    Seal(SealEntry),
    Cut(CutEntry),
    Shipped(ShippedEntry),
    Config(ConfigEntry),
}

/// What applying an entry told.
#[derive(Debug)]
pub(crate) enum Applied {
    /// Positions are those in the entry.
    Batch(AppendOutcome),
    /// Buffers are closed; what is to be written.
    Seal(Box<Job>),
    /// The same, before the snapshot is taken.
    Sealing,
    /// `None` when the window held nothing.
    Cut(Option<Cut>),
    Done,
}

impl Command {
    pub(crate) fn decode(entry: &Entry) -> Result<Self> {
        let fail = |detail: String| HeadError::Entry { index: entry.index, detail };
        let payload = &entry.payload;
        Ok(match entry.kind {
            EntryKind::Batch => {
                let batch = WriteBatch::decode(payload).map_err(|e| fail(e.to_string()))?;
                Self::Batch(Box::new(batch), None)
            }
            EntryKind::Seal => {
                Self::Seal(SealEntry::decode(payload).map_err(|e| fail(e.to_string()))?)
            }
            EntryKind::Cut => {
                Self::Cut(CutEntry::decode(payload).map_err(|e| fail(e.to_string()))?)
            }
            EntryKind::Shipped => {
                Self::Shipped(ShippedEntry::decode(payload).map_err(|e| fail(e.to_string()))?)
            }
            EntryKind::Config => {
                Self::Config(ConfigEntry::decode(payload).map_err(|e| fail(e.to_string()))?)
            }
        })
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            applied: 0,
            term: 0,
            sealed: 0,
            next_reference: 1,
            windows: Windows::default(),
            tenants: BTreeMap::new(),
            settled: 0,
            removals: 0,
            files: Files::default(),
            manifest_len: 0,
            series_len: 0,
        }
    }
}

impl State {
    /// Highest time of any tenant's samples.
    pub(crate) fn max_time(&self) -> Option<i64> {
        self.tenants.values().map(|t| t.max_time).filter(|t| *t > i64::MIN).max()
    }

    /// Bytes of memory behind all tenants' series.
    pub(crate) fn memory(&self) -> usize {
        self.tenants.values().map(|t| t.memory).sum()
    }

    /// Sealed chunks to read before a batch can be applied.
    pub(crate) fn sealed_for(&self, batch: &WriteBatch) -> Vec<(Chunk, varve_model::Labels)> {
        let mut out = Vec::new();
        let Some(tenant) = self.tenants.get(&batch.tenant) else { return out };
        // Nearly always all samples are newer than what is sealed.
        let may_be_there = |s: &BatchSeries| {
            s.floats.iter().any(|s| s.time <= tenant.sealed_until)
                || s.histograms.iter().any(|s| s.time <= tenant.sealed_until)
        };
        for series in batch.series.iter().filter(|s| may_be_there(s)) {
            let reference = match &series.id {
                SeriesId::Known(reference) => *reference,
                SeriesId::New(labels) => tenant.find(labels).unwrap_or(0),
            };
            tenant.sealed_at(reference, series, &self.files, &mut out);
        }
        out
    }

    /// Applies one entry. An error means that nothing after it may be applied.
    pub(crate) fn apply(
        &mut self,
        (term, index): (u64, u64),
        command: Command,
        loaded: &Loaded,
    ) -> Result<Applied> {
        let applied = match command {
            Command::Batch(batch, known_at) => {
                Applied::Batch(self.apply_batch(index, *batch, known_at, loaded)?)
            }
            Command::Seal(entry) => {
                self.apply_seal(&entry)?;
                Applied::Sealing
            }
            Command::Cut(entry) => Applied::Cut(self.apply_cut(term, index, &entry)?),
            Command::Shipped(entry) => {
                self.apply_shipped(entry);
                Applied::Done
            }
            Command::Config(entry) => {
                let tenant = self.tenants.entry(entry.tenant).or_default();
                tenant.out_of_order = entry.out_of_order_window.max(0);
                self.next_reference = self.next_reference.max(entry.first_reference);
                Applied::Done
            }
        };
        (self.term, self.applied) = (term, index);
        Ok(applied)
    }

    fn apply_batch(
        &mut self,
        index: u64,
        batch: WriteBatch,
        known_at: Option<u64>,
        loaded: &Loaded,
    ) -> Result<AppendOutcome> {
        let mut outcome = AppendOutcome::default();
        // A reference is forgotten only when its series is removed.
        if known_at != Some(self.removals) {
            outcome.unknown = self.unknown(&batch);
            if !outcome.unknown.is_empty() {
                return Ok(outcome);
            }
        }
        let tenant = self.tenants.entry(batch.tenant).or_default();
        for (metric, metadata) in batch.metadata {
            tenant.add_metadata(&metric, metadata);
        }
        for (position, mut series) in (0u32..).zip(batch.series) {
            let id = std::mem::replace(&mut series.id, SeriesId::Known(0));
            let reference = match id {
                SeriesId::Known(reference) => reference,
                SeriesId::New(labels) => {
                    let reference = match tenant.find(&labels) {
                        Some(reference) => reference,
                        None => {
                            let reference = self.next_reference;
                            self.next_reference = self.next_reference.saturating_add(1);
                            tenant.add(reference, &labels, |_| {});
                            reference
                        }
                    };
                    outcome.references.push(reference);
                    reference
                }
            };
            let told =
                tenant.apply(reference, series, index, &mut self.windows, (&self.files, loaded))?;
            outcome.samples += told.samples;
            outcome.histograms += told.histograms;
            outcome.exemplars += told.exemplars;
            let refusals = told.refused.iter().map(|r| refusal(position, r, tenant.out_of_order));
            outcome.refusals.extend(refusals);
        }
        Ok(outcome)
    }

    /// Positions of the series whose reference the tenant does not have.
    pub(crate) fn unknown(&self, batch: &WriteBatch) -> Vec<u32> {
        let tenant = self.tenants.get(&batch.tenant);
        let known = |r: &u64| tenant.is_some_and(|t| t.series.contains(*r));
        (0u32..)
            .zip(&batch.series)
            .filter(|(_, s)| matches!(&s.id, SeriesId::Known(r) if !known(r)))
            .map(|(position, _)| position)
            .collect()
    }

    /// Shipped cuts leave, then every buffer is closed.
    fn apply_seal(&mut self, entry: &SealEntry) -> Result<()> {
        let mut leaving = HashSet::new();
        for (end, number) in &entry.release {
            let Some(cut) = self.windows.find_mut(*end, *number) else { continue };
            let Some(shipped) = cut.shipped.as_mut().filter(|_| !cut.released) else { continue };
            cut.released = true;
            leaving.insert((*end, *number));
            for (id, version) in std::mem::take(&mut shipped.versions) {
                if let Some(tenant) = self.tenants.get_mut(&id) {
                    tenant.released_at = tenant.released_at.max(version);
                }
            }
        }
        let Self { tenants, windows, files, removals, .. } = self;
        let leaves = |window, index| {
            let cut = windows.cut_at(window, index);
            cut.is_some_and(|cut| leaving.contains(&(window, cut.number)))
        };
        for tenant in tenants.values_mut() {
            tenant.untold.clear();
            for series in tenant.series.values_mut() {
                if !leaving.is_empty() {
                    series.release(files, leaves);
                }
                series.close_all()?;
                let samples = series.spans(files).filter(|(kind, ..)| *kind != Kind::Exemplar);
                let told = samples.map(|(_, _, max)| max).max().unwrap_or(i64::MIN);
                if told != series.newest && !series.is_empty() {
                    tenant.untold.push((series.reference, series.newest));
                }
                Tenant::charge(&mut tenant.memory, series);
            }
            *removals += tenant.remove_empty();
        }
        Ok(())
    }

    fn apply_cut(&mut self, term: u64, index: u64, entry: &CutEntry) -> Result<Option<Cut>> {
        let end = entry.window_end;
        let Some(window) = self.windows.by_end.get_mut(&end).filter(|w| w.uncut > 0) else {
            return Ok(None);
        };
        let number = entry.number.max(self.windows.last_number.saturating_add(1));
        self.windows.last_number = number;
        let at_ms = entry.at_ms;
        let cut = CutState { number, term, index, at_ms, shipped: None, released: false };
        let told = cut.cut(end);
        window.cuts.push(cut);
        window.uncut = 0;
        for tenant in self.tenants.values_mut() {
            for series in tenant.series.values_mut() {
                series.close_window(end)?;
                Tenant::charge(&mut tenant.memory, series);
            }
        }
        Ok(Some(told))
    }

    fn apply_shipped(&mut self, entry: ShippedEntry) {
        let ShippedEntry { window_end, number, at_ms, versions } = entry;
        let cut = self.windows.find_mut(window_end, number);
        if let Some(cut) = cut.filter(|c| c.shipped.is_none()) {
            cut.shipped = Some(ShippedState { at_ms, versions });
        }
    }

    /// Lets go of what a durable seal has written to files: of some series.
    pub(crate) fn place(&mut self, id: &TenantId, placement: &Placement) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        for placed in placement.iter() {
            let Some(series) = tenant.series.get_mut(placed.reference) else { continue };
            series.named = true;
            tenant.sealed_until = tenant.sealed_until.max(series.newest);
            series.place(placed.taken, placed.merged, placed.rows);
            Tenant::charge(&mut tenant.memory, series);
        }
    }
}

fn refusal(series: u32, refused: &Refused, out_of_order: i64) -> Refusal {
    let Refused { reason, time, count, max_time } = *refused;
    let detail = match reason {
        RefusalReason::OutOfOrder => format!(
            "time {time} is not within out_of_order_window {out_of_order} ms before {max_time}, \
             the tenant's newest"
        ),
        RefusalReason::Duplicate => format!("another value is already there at time {time}"),
        RefusalReason::SeriesLimit => String::new(),
        RefusalReason::TooOld => format!("time {time} is outside what a window can hold"),
    };
    Refusal { reason, series, timestamp: Some(time), count, detail }
}
