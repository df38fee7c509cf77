//! The answer to a select: a snapshot of the matching series, coded lazily.
//!
//! It is taken in slices, each under one short lock, so that a select of a
//! million series holds up nobody; `released_at` is that of the last one. What
//! a snapshot holds stays readable whatever is written, sealed or dropped
//! meanwhile.

use std::sync::Arc;

use parking_lot::RwLock;
use varve_block::{EncodedChunk, EncodedSeries, Estimate};
use varve_model::{Matcher, TenantId, TimeRange};

use crate::Result;
use crate::buffer::Buffer;
use crate::chunk::Chunk;
use crate::dictionary::{Dictionary, Pairs};
use crate::kind::Kind;
use crate::read::buffer_overlaps;
use crate::sealed::{Files, Row};
use crate::series::Series;
use crate::state::State;
use crate::tenant::Tenant;
use crate::windows::Orders;

/// Series that are taken under one lock. (Tests have few.)
const SLICE: usize = if cfg!(test) { 2 } else { 2048 };
/// The order of what is in no cut.
const UNCUT: (u64, u64) = (u64::MAX, u64::MAX);

/// The answer to a select. Iterating codes open buffers and reads sealed files
/// (it blocks), one series at a time, so that memory stays bounded.
pub struct HeadRead {
    /// The highest catalog version whose commit let this head drop samples of
    /// the tenant; a reader that pinned an older one must pin anew. 0 = none.
    pub released_at: u64,
    slices: std::vec::IntoIter<Slice>,
    slice: Option<Slice>,
    left: usize,
}

/// Some series as they were at one moment.
struct Slice {
    context: Context,
    series: std::vec::IntoIter<Snapshot>,
}

/// What all series of a slice share.
struct Context {
    range: TimeRange,
    orders: Orders,
    dictionary: Dictionary,
    files: Files,
}

/// One series as it was at a moment. Everything is shared: taking it is quick.
struct Snapshot {
    pairs: Pairs,
    sealed: Arc<[Row]>,
    chunks: Option<Arc<Vec<Chunk>>>,
    open: Option<Arc<Buffer>>,
    late: Option<Arc<Buffer>>,
}

impl HeadRead {
    /// How many series are still to come.
    pub fn len(&self) -> usize {
        self.left
    }

    /// What is still to come, without coding or reading any of it.
    pub fn estimate(&self) -> Estimate {
        let mut estimate = Estimate::default();
        for Slice { context, series } in self.slice.iter().chain(self.slices.as_slice()) {
            series.as_slice().iter().for_each(|one| one.estimate(context, &mut estimate));
        }
        estimate
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Iterator for HeadRead {
    type Item = Result<EncodedSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(Slice { context, series }) = &mut self.slice
                && let Some(snapshot) = series.next()
            {
                self.left -= 1;
                return Some(snapshot.encode(context));
            }
            self.slice = Some(self.slices.next()?);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeadRead {}

impl Context {
    /// Term and index of a chunk that the reader is to be given.
    fn order(&self, chunk: &Chunk) -> Option<(u64, u64)> {
        let wanted = chunk.kind != Kind::Exemplar && chunk.overlaps(&self.range);
        wanted.then(|| self.orders.of(chunk.window(), chunk.last_index)).flatten()
    }

    /// Whether the reader is to be given the chunk of a row.
    fn takes_row(&self, row: &Row) -> bool {
        let (Some(section), Some((kind, min, max))) =
            (self.files.section(row), self.files.span(row))
        else {
            return false;
        };
        let wanted = kind != Kind::Exemplar && self.range.start < max && min <= self.range.end;
        wanted && self.orders.of(section.window, section.index).is_some()
    }

    /// Whether the reader is to be given anything of a series.
    fn takes(&self, series: &Series) -> bool {
        buffer_overlaps(&series.open, &self.range)
            || buffer_overlaps(&series.late, &self.range)
            || series.sealed.iter().any(|row| self.takes_row(row))
            || series.unsealed().iter().any(|chunk| self.order(chunk).is_some())
    }
}

impl Snapshot {
    fn estimate(&self, context: &Context, to: &mut Estimate) {
        to.series += 1;
        let mut add = |span: (i64, i64), samples: u32, bytes: usize| {
            to.add_spread(span, u64::from(samples), bytes as u64, context.range);
        };
        for row in self.sealed.iter().filter(|row| context.takes_row(row)) {
            if let Some((_, min, max)) = context.files.span(row) {
                add((min, max), row.count(), row.len() as usize);
            }
        }
        let chunks = self.chunks.iter().flat_map(|chunks| &**chunks);
        for chunk in chunks.filter(|chunk| context.order(chunk).is_some()) {
            add((chunk.min, chunk.max), chunk.count, chunk.memory());
        }
        for buffer in [&self.open, &self.late].into_iter().flatten() {
            if let Some(span) = buffer.span() {
                let samples = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
                add(span, samples, buffer.memory());
            }
        }
    }

    fn encode(self, context: &Context) -> Result<EncodedSeries> {
        let Self { pairs, sealed, chunks, open, late } = self;
        let unsealed = chunks.as_deref().map_or(&[][..], Vec::as_slice);
        let mut out = Vec::with_capacity(sealed.len() + unsealed.len() + 2);
        for chunk in context.files.chunks(&sealed).chain(unsealed.iter().cloned()) {
            if let Some((term, index)) = context.order(&chunk) {
                out.push(chunk.encode(term, index)?);
            }
        }
        let (term, index) = UNCUT;
        for buffer in [open, late].into_iter().flatten().flat_map(|b| b.split_windows()) {
            out.extend(EncodedChunk::from_floats(&buffer.floats().columns(), term, index));
            let histograms = buffer.histograms();
            out.extend(histograms.and_then(|h| EncodedChunk::from_histograms(h, term, index)));
        }
        Ok(EncodedSeries { labels: context.dictionary.labels(&pairs), chunks: out })
    }
}

/// Takes a snapshot of the series that match, less what is in blocks of a
/// catalog version.
pub(crate) fn select(
    state: &RwLock<State>,
    tenant: &TenantId,
    matchers: &[Matcher],
    (range, version): (TimeRange, u64),
) -> HeadRead {
    let (references, mut released_at) = {
        let state = state.read();
        let tenant = state.tenants.get(tenant);
        let references = tenant.map(|t| t.index.select(matchers, |r| t.pairs(r)));
        (references.unwrap_or_default(), tenant.map_or(0, |t| t.released_at))
    };
    let mut slices = Vec::with_capacity(references.len().div_ceil(SLICE));
    for references in references.chunks(SLICE) {
        let state = state.read();
        // What left since is in a version that the new value tells of.
        let Some(of) = state.tenants.get(tenant) else { continue };
        released_at = released_at.max(of.released_at);
        let context = Context {
            range,
            orders: state.windows.orders(tenant, version),
            dictionary: of.index.dictionary().clone(),
            files: state.files.clone(),
        };
        slices.push(slice(of, references, context));
    }
    let left = slices.iter().map(|slice| slice.series.len()).sum();
    HeadRead { released_at, slices: slices.into_iter(), slice: None, left }
}

fn slice(tenant: &Tenant, references: &[u64], context: Context) -> Slice {
    let shared = |buffer: &Option<Arc<Buffer>>| {
        buffer.clone().filter(|_| buffer_overlaps(buffer, &context.range))
    };
    let snapshot = |series: &Series| Snapshot {
        pairs: Arc::clone(&series.pairs),
        sealed: Arc::clone(&series.sealed),
        chunks: series.chunks.clone(),
        open: shared(&series.open),
        late: shared(&series.late),
    };
    let series = references.iter().filter_map(|reference| tenant.series.get(*reference));
    let series: Vec<Snapshot> = series.filter(|one| context.takes(one)).map(snapshot).collect();
    Slice { context, series: series.into_iter() }
}
