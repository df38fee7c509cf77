//! The answer to a select: a snapshot of the matching series, coded lazily.
//!
//! A snapshot is taken under one short lock together with `released_at`; what
//! it holds stays readable whatever is written, sealed or dropped meanwhile.

use std::sync::Arc;

use varve_block::{EncodedChunk, EncodedSeries};
use varve_model::{Matcher, TenantId, TimeRange};

use crate::Result;
use crate::buffer::Buffer;
use crate::chunk::Chunk;
use crate::dictionary::{Dictionary, Pairs};
use crate::kind::Kind;
use crate::read::{buffer_overlaps, matched};
use crate::sealed::{Files, Row};
use crate::series::Series;
use crate::state::State;
use crate::windows::Orders;

/// The order of what is in no cut.
const UNCUT: (u64, u64) = (u64::MAX, u64::MAX);

/// The answer to a select. Iterating codes open buffers and reads sealed files
/// (it blocks), one series at a time, so that memory stays bounded.
pub struct HeadRead {
    /// The highest catalog version whose commit let this head drop samples of
    /// the tenant; a reader that pinned an older one must pin anew. 0 = none.
    pub released_at: u64,
    context: Context,
    series: std::vec::IntoIter<Snapshot>,
}

/// What all series of a read share.
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
        Some(snapshot.encode(&self.context))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.series.size_hint()
    }
}

impl ExactSizeIterator for HeadRead {}

impl Snapshot {
    fn encode(self, context: &Context) -> Result<EncodedSeries> {
        let Context { range, orders, dictionary, files } = context;
        let Self { pairs, sealed, chunks, open, late } = self;
        let unsealed = chunks.as_deref().map_or(&[][..], Vec::as_slice);
        let mut out = Vec::with_capacity(sealed.len() + unsealed.len() + 2);
        for chunk in files.chunks(&sealed).chain(unsealed.iter().cloned()) {
            if chunk.kind != Kind::Exemplar && chunk.overlaps(range) {
                let (term, index) = orders.of(chunk.window(), chunk.last_index);
                out.push(chunk.encode(term, index)?);
            }
        }
        let (term, index) = UNCUT;
        for buffer in [open, late].into_iter().flatten().flat_map(|b| b.split_windows()) {
            out.extend(EncodedChunk::from_floats(&buffer.floats().columns(), term, index));
            let histograms = buffer.histograms();
            out.extend(histograms.and_then(|h| EncodedChunk::from_histograms(h, term, index)));
        }
        Ok(EncodedSeries { labels: dictionary.labels(&pairs), chunks: out })
    }
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
            pairs: Arc::clone(&series.pairs),
            sealed: Arc::clone(&series.sealed),
            chunks: series.chunks.clone(),
            open: shared(&series.open),
            late: shared(&series.late),
        };
        let series = tenant.into_iter().flat_map(|t| matched(self, t, matchers, range));
        let series: Vec<Snapshot> = series.map(snapshot).collect();
        let context = Context {
            range,
            orders: self.windows.orders(),
            dictionary: tenant.map(|t| t.index.dictionary().clone()).unwrap_or_default(),
            files: self.files.clone(),
        };
        let released_at = tenant.map_or(0, |t| t.released_at);
        HeadRead { released_at, context, series: series.into_iter() }
    }
}
