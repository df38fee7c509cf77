//! What reads return: a snapshot of the matching series, coded lazily.
//!
//! A snapshot is taken under one short lock together with `released_at`; what
//! it holds stays readable whatever is written, sealed or dropped meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use varve_block::{BlockError, EncodedChunk, EncodedSeries, block_order, merge};
use varve_model::{
    Exemplar, FloatSamples, HistogramSamples, Labels, Matcher, Metadata, TenantId, TimeRange,
};

use crate::buffer::Buffer;
use crate::chunk::{Chunk, Kind};
use crate::exemplars::{self, ExemplarBuffer};
use crate::series::Series;
use crate::state::State;
use crate::tenant::Tenant;
use crate::windows::Orders;
use crate::{Cut, HeadError, Result};

/// The order of what is in no cut.
const UNCUT: (u64, u64) = (u64::MAX, u64::MAX);

/// The answer to a select. Iterating codes open buffers and reads sealed files
/// (it blocks), one series at a time, so that memory stays bounded.
pub struct HeadRead {
    /// The highest catalog version whose commit let this head drop samples of
    /// the tenant; a reader that pinned an older one must pin anew. 0 = none.
    pub released_at: u64,
    range: TimeRange,
    orders: Orders,
    series: std::vec::IntoIter<Snapshot>,
}

/// A sorted answer with the seam's version, see [`HeadRead::released_at`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeadAnswer<T> {
    /// See [`HeadRead::released_at`].
    pub released_at: u64,
    /// What was asked for.
    pub values: Vec<T>,
}

/// A series with its exemplars, sorted by time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// Who they belong to.
    pub labels: Labels,
    /// The exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// What one metric family says of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyMetadata {
    /// The family's name.
    pub metric: String,
    /// What it says. A family may stand several times, the newest text last.
    pub metadata: Metadata,
}

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
    bounds: Bounds,
    series: std::vec::IntoIter<(Labels, Arc<Vec<Chunk>>)>,
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
    fn hold(&self, chunk: &Chunk) -> bool {
        let Self { window_end, after, before } = *self;
        let of_cut = after <= chunk.last_index && chunk.last_index < before;
        of_cut && chunk.window() == window_end
    }
}

/// One series as it was at a moment. Everything is shared: taking it is quick.
struct Snapshot {
    labels: Labels,
    chunks: Arc<Vec<Chunk>>,
    open: Option<Arc<Buffer>>,
    late: Option<Arc<Buffer>>,
}

impl HeadRead {
    /// How many series are still to come.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Iterator for HeadRead {
    type Item = Result<EncodedSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        let snapshot = self.series.next()?;
        Some(snapshot.encode(&self.range, &self.orders))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.series.size_hint()
    }
}

impl ExactSizeIterator for HeadRead {}

impl Iterator for CutRead {
    type Item = Result<CutSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        let (labels, chunks) = self.series.next()?;
        Some(merge_cut(labels, chunks.iter().filter(|c| self.bounds.hold(c)), self.bounds))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.series.size_hint()
    }
}

impl ExactSizeIterator for CutRead {}

impl<T> Default for HeadAnswer<T> {
    fn default() -> Self {
        Self { released_at: 0, values: Vec::new() }
    }
}

impl Snapshot {
    fn encode(self, range: &TimeRange, orders: &Orders) -> Result<EncodedSeries> {
        let Self { labels, chunks, open, late } = self;
        let mut out = Vec::with_capacity(chunks.len() + 2);
        for chunk in chunks.iter().filter(|c| c.kind != Kind::Exemplar && c.overlaps(range)) {
            let (term, index) = orders.of(chunk);
            out.push(chunk.encode(&labels, term, index)?);
        }
        let (term, index) = UNCUT;
        for buffer in [open, late].into_iter().flatten().flat_map(|b| b.split_windows()) {
            out.extend(EncodedChunk::from_floats(&buffer.floats, term, index));
            let histograms = buffer.histograms.iter();
            out.extend(histograms.filter_map(|h| EncodedChunk::from_histograms(h, term, index)));
        }
        Ok(EncodedSeries { labels, chunks: out })
    }
}

fn merge_cut<'a>(
    labels: Labels,
    chunks: impl Iterator<Item = &'a Chunk>,
    bounds: Bounds,
) -> Result<CutSeries> {
    let mut encoded = Vec::new();
    let mut exemplars = Vec::new();
    for chunk in chunks {
        match chunk.kind {
            Kind::Exemplar => exemplars.extend(chunk.decode_exemplars(&labels)?),
            Kind::Float | Kind::Histogram => encoded.push(chunk.encode(&labels, 0, 0)?),
        }
    }
    let samples = |source: BlockError| HeadError::Samples { labels: labels.clone(), source };
    let (floats, histograms) =
        merge::merge_chunks(&encoded, TimeRange::window(bounds.window_end)).map_err(samples)?;
    exemplars::sort(&mut exemplars);
    Ok(CutSeries { labels, floats, histograms, exemplars })
}

/// Whether a buffer may hold something in a range.
fn buffer_overlaps(buffer: &Option<Arc<Buffer>>, range: &TimeRange) -> bool {
    let span = buffer.as_ref().and_then(|b| b.span());
    span.is_some_and(|(min, max)| range.start < max && min <= range.end)
}

/// Whether a series may have samples in a range.
fn overlaps(series: &Series, range: &TimeRange) -> bool {
    let samples = |c: &Chunk| c.kind != Kind::Exemplar && c.overlaps(range);
    buffer_overlaps(&series.open, range)
        || buffer_overlaps(&series.late, range)
        || series.chunks.iter().any(samples)
}

/// The series that match and may have samples in the range.
fn matched<'a>(
    tenant: &'a Tenant,
    matchers: &[Matcher],
    range: TimeRange,
) -> impl Iterator<Item = &'a Series> {
    let labels = |reference| tenant.series.get(&reference).map(|s| &s.labels);
    let references = tenant.index.select(matchers, labels);
    references
        .into_iter()
        .filter_map(|reference| tenant.series.get(&reference))
        .filter(move |series| overlaps(series, &range))
}

/// At most `limit` of what is sorted; 0 = all.
fn limited<T>(mut values: Vec<T>, limit: usize) -> Vec<T> {
    if limit > 0 {
        values.truncate(limit);
    }
    values
}

/// Whether the whole vocabulary answers: nothing is asked of single series.
fn takes_all(tenant: &Tenant, matchers: &[Matcher], range: &TimeRange) -> bool {
    matchers.is_empty() && range.start == i64::MIN && tenant.max_time <= range.end
}

impl State {
    pub(crate) fn select(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> HeadRead {
        let tenant = self.tenants.get(tenant);
        let shared = |buffer: &Option<Arc<Buffer>>| {
            buffer.clone().filter(|_| buffer_overlaps(buffer, &range))
        };
        let snapshot = |series: &Series| Snapshot {
            labels: series.labels.clone(),
            chunks: Arc::clone(&series.chunks),
            open: shared(&series.open),
            late: shared(&series.late),
        };
        let series: Vec<Snapshot> =
            tenant.into_iter().flat_map(|t| matched(t, matchers, range)).map(snapshot).collect();
        HeadRead {
            released_at: tenant.map_or(0, |t| t.released_at),
            range,
            orders: self.windows.orders(),
            series: series.into_iter(),
        }
    }

    pub(crate) fn series(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> HeadAnswer<Labels> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let values = matched(tenant, matchers, range).map(|s| s.labels.clone()).collect();
        HeadAnswer { released_at: tenant.released_at, values }
    }

    pub(crate) fn label_names(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let values: Vec<String> = if takes_all(tenant, matchers, &range) {
            tenant.index.names().map(str::to_owned).collect()
        } else {
            let mut names = BTreeSet::new();
            for series in matched(tenant, matchers, range) {
                names.extend(series.labels.iter().map(|(name, _)| name));
            }
            names.into_iter().map(str::to_owned).collect()
        };
        HeadAnswer { released_at: tenant.released_at, values: limited(values, limit) }
    }

    pub(crate) fn label_values(
        &self,
        tenant: &TenantId,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let values: Vec<String> = if takes_all(tenant, matchers, &range) {
            tenant.index.values(name).map(str::to_owned).collect()
        } else {
            let values: BTreeSet<&str> = matched(tenant, matchers, range)
                .map(|series| series.labels.get(name))
                .filter(|value| !value.is_empty())
                .collect();
            values.into_iter().map(str::to_owned).collect()
        };
        HeadAnswer { released_at: tenant.released_at, values: limited(values, limit) }
    }

    /// The exemplars of matching series, not decoded.
    pub(crate) fn exemplars(
        &self,
        tenant: &TenantId,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> ExemplarRead {
        let Some(tenant) = self.tenants.get(tenant) else {
            return ExemplarRead { released_at: 0, range, series: Vec::new() };
        };
        let labels = |reference| tenant.series.get(&reference).map(|s| &s.labels);
        let references: BTreeSet<u64> =
            selectors.iter().flat_map(|matchers| tenant.index.select(matchers, labels)).collect();
        let wanted = |c: &&Chunk| c.kind == Kind::Exemplar && c.overlaps(&range);
        let series = references.iter().filter_map(|reference| tenant.series.get(reference));
        let series = series.map(|s| {
            let chunks = s.chunks.iter().filter(wanted).cloned().collect();
            (s.labels.clone(), chunks, s.exemplars.clone())
        });
        ExemplarRead { released_at: tenant.released_at, range, series: series.collect() }
    }

    pub(crate) fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<&str>,
        limit: usize,
    ) -> HeadAnswer<FamilyMetadata> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let families =
            tenant.metadata.iter().filter(|(name, _)| metric.is_none_or(|m| m == &***name));
        let limit = if limit == 0 { usize::MAX } else { limit };
        let values = families
            .take(limit)
            .flat_map(|(name, texts)| {
                let of =
                    |m: &Metadata| FamilyMetadata { metric: name.to_string(), metadata: m.clone() };
                texts.iter().map(of)
            })
            .collect();
        HeadAnswer { released_at: tenant.released_at, values }
    }

    pub(crate) fn cut_tenants(&self, cut: &Cut) -> Vec<TenantId> {
        let Some(bounds) = self.bounds(cut) else { return Vec::new() };
        let holds = |t: &Tenant| t.series.values().any(|s| s.chunks.iter().any(|c| bounds.hold(c)));
        self.tenants.iter().filter(|(_, t)| holds(t)).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn cut_series(&self, cut: &Cut, tenant: &TenantId) -> Result<CutRead> {
        let Cut { window_end, number, .. } = *cut;
        let bounds = self.bounds(cut).ok_or(HeadError::NoCut { window_end, number })?;
        let series = self.tenants.get(tenant).into_iter().flat_map(|t| t.series.values());
        let series: Vec<_> = series
            .filter(|s| s.chunks.iter().any(|c| bounds.hold(c)))
            .map(|s| (s.labels.clone(), Arc::clone(&s.chunks)))
            .collect();
        Ok(CutRead { bounds, series: series.into_iter() })
    }

    /// What belongs to a cut; `None` when it is not there (any more).
    fn bounds(&self, cut: &Cut) -> Option<Bounds> {
        let cuts = &self.windows.by_end.get(&cut.window_end)?.cuts;
        let at = cuts.iter().position(|c| c.number == cut.number && !c.released)?;
        let after = at.checked_sub(1).map_or(0, |before| cuts[before].index);
        Some(Bounds { window_end: cut.window_end, after, before: cuts[at].index })
    }
}

impl CutRead {
    /// Sorts into block order; done without the lock.
    pub(crate) fn sorted(self) -> Self {
        let mut series: Vec<_> = self.series.collect();
        series.sort_unstable_by(|a, b| block_order(&a.0, &b.0));
        Self { bounds: self.bounds, series: series.into_iter() }
    }
}

/// Exemplars as they were at a moment.
pub(crate) struct ExemplarRead {
    released_at: u64,
    range: TimeRange,
    series: Vec<(Labels, Vec<Chunk>, Option<Arc<ExemplarBuffer>>)>,
}

impl ExemplarRead {
    /// Decodes them; done without the lock.
    pub(crate) fn decode(self) -> Result<HeadAnswer<SeriesExemplars>> {
        let mut values = Vec::new();
        for (labels, chunks, buffer) in self.series {
            let mut exemplars: Vec<Exemplar> =
                buffer.iter().flat_map(|b| b.items.iter().cloned()).collect();
            for chunk in &chunks {
                exemplars.extend(chunk.decode_exemplars(&labels)?);
            }
            exemplars.retain(|e| self.range.contains(e.timestamp));
            exemplars::sort(&mut exemplars);
            if !exemplars.is_empty() {
                values.push(SeriesExemplars { labels, exemplars });
            }
        }
        values.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(HeadAnswer { released_at: self.released_at, values })
    }
}

impl HeadAnswer<Labels> {
    /// Sorts and cuts to the limit; done without the lock.
    pub(crate) fn sorted(self, limit: usize) -> Self {
        let mut values = self.values;
        values.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        Self { released_at: self.released_at, values: limited(values, limit) }
    }
}
