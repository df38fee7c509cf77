//! Reading a cut: its series in block order, merged, slice by slice.
//!
//! Which series a cut has and in what order is decided once, by numbers; what
//! they hold is taken from the state a slice at a time, so that shipping a
//! partition needs little memory of its own. What a cut holds never changes
//! until it is released, and a cut is released only after it was shipped.

use std::sync::Arc;

use varve_block::{BlockError, merge};
use varve_model::{Exemplar, FloatSamples, HistogramSamples, Labels, TenantId, TimeRange};

use crate::chunk::Chunk;
use crate::kind::Kind;
use crate::series::Series;
use crate::state::State;
use crate::task::Shared;
use crate::tenant::Tenant;
use crate::{Cut, HeadError, Result, exemplars};

/// Series that are taken from the state at a time.
const SLICE: usize = 1024;

/// One series of a cut: merged samples, sorted by time, nothing twice.
#[derive(Clone, Debug, PartialEq)]
pub struct CutSeries {
    /// Who.
    pub labels: Labels,
    /// Float samples.
    pub floats: FloatSamples,
    /// Histograms.
    pub histograms: HistogramSamples,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// The series of one tenant in one cut, in block order. Iterating reads sealed
/// files (it blocks), one series at a time.
pub struct CutRead {
    shared: Arc<Shared>,
    cut: Cut,
    tenant: TenantId,
    /// Of the series that are still to be taken, in order.
    references: std::vec::IntoIter<u64>,
    slice: std::vec::IntoIter<(Labels, Vec<Chunk>)>,
}

/// What makes a chunk belong to a cut.
#[derive(Clone, Copy)]
struct Bounds {
    window_end: i64,
    /// Index of the cut before, 0 when there is none.
    after: u64,
    /// Index of the cut.
    before: u64,
}

impl Bounds {
    fn hold(&self, window: i64, last_index: u64) -> bool {
        let of_cut = self.after <= last_index && last_index < self.before;
        of_cut && window == self.window_end
    }

    fn hold_some(&self, state: &State, series: &Series) -> bool {
        let sealed = series.sealed.iter().filter_map(|row| state.files.section(row));
        sealed.into_iter().any(|s| self.hold(s.window, s.index))
            || series.unsealed().iter().any(|c| self.hold(c.window(), c.last_index))
    }
}

impl CutRead {
    pub(crate) fn new(shared: Arc<Shared>, cut: Cut, tenant: TenantId) -> Result<Self> {
        let references = shared.state.read().cut_references(&cut, &tenant)?.into_iter();
        Ok(Self { shared, cut, tenant, references, slice: Vec::new().into_iter() })
    }

    fn refill(&mut self) -> Result<()> {
        let references: Vec<u64> = self.references.by_ref().take(SLICE).collect();
        let state = self.shared.state.read();
        let bounds = state.bounds(&self.cut).ok_or_else(|| self.cut.gone())?;
        let Some(tenant) = state.tenants.get(&self.tenant) else { return Err(self.cut.gone()) };
        let of_cut = |c: &Chunk| bounds.hold(c.window(), c.last_index);
        let series = references.into_iter().filter_map(|r| tenant.series.get(r));
        let taken = series.map(|s| {
            let labels = tenant.index.dictionary().labels(&s.pairs);
            (labels, s.closed(&state.files).filter(of_cut).collect())
        });
        self.slice = taken.collect::<Vec<_>>().into_iter();
        Ok(())
    }
}

impl Iterator for CutRead {
    type Item = Result<CutSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.slice.len() == 0 {
            if self.references.len() == 0 {
                return None;
            }
            if let Err(error) = self.refill() {
                self.references = Vec::new().into_iter();
                return Some(Err(error));
            }
        }
        let (labels, chunks) = self.slice.next()?;
        Some(merge_cut(labels, &chunks, self.cut.window_end))
    }
}

fn merge_cut(labels: Labels, chunks: &[Chunk], window_end: i64) -> Result<CutSeries> {
    let mut encoded = Vec::new();
    let mut exemplars = Vec::new();
    for chunk in chunks {
        match chunk.kind {
            Kind::Exemplar => exemplars.extend(chunk.decode_exemplars(|| labels.clone())?),
            Kind::Float | Kind::Histogram => encoded.push(chunk.encode(0, 0)?),
        }
    }
    let samples = |source: BlockError| HeadError::Samples { labels: labels.clone(), source };
    let (floats, histograms) =
        merge::merge_chunks(&encoded, TimeRange::window(window_end)).map_err(samples)?;
    exemplars::sort(&mut exemplars);
    Ok(CutSeries { labels, floats, histograms, exemplars })
}

impl Cut {
    /// The error of a cut that is not there.
    fn gone(&self) -> HeadError {
        HeadError::NoCut { window_end: self.window_end, number: self.number }
    }
}

impl State {
    pub(crate) fn cut_tenants(&self, cut: &Cut) -> Vec<TenantId> {
        let Some(bounds) = self.bounds(cut) else { return Vec::new() };
        let holds = |t: &Tenant| t.series.values().any(|s| bounds.hold_some(self, s));
        self.tenants.iter().filter(|(_, t)| holds(t)).map(|(id, _)| id.clone()).collect()
    }

    /// The series of a tenant in a cut, in block order.
    fn cut_references(&self, cut: &Cut, tenant: &TenantId) -> Result<Vec<u64>> {
        let bounds = self.bounds(cut).ok_or_else(|| cut.gone())?;
        let Some(tenant) = self.tenants.get(tenant) else { return Ok(Vec::new()) };
        let ranks = tenant.index.ranks();
        let series = tenant.series.values().filter(|s| bounds.hold_some(self, s));
        let mut keys: Vec<(Box<[u32]>, u64)> =
            series.map(|s| (ranks.key(&s.pairs), s.reference)).collect();
        keys.sort_unstable();
        Ok(keys.into_iter().map(|(_, reference)| reference).collect())
    }

    /// What belongs to a cut; `None` when it is not there (any more).
    fn bounds(&self, cut: &Cut) -> Option<Bounds> {
        let cuts = &self.windows.by_end.get(&cut.window_end)?.cuts;
        let at = cuts.iter().position(|c| c.number == cut.number && !c.released)?;
        let after = at.checked_sub(1).map_or(0, |before| cuts[before].index);
        Some(Bounds { window_end: cut.window_end, after, before: cuts[at].index })
    }
}
