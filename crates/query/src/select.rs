//! Series with samples: gathers coded chunks from everywhere, merges what
//! belongs to one series, and decodes batch by batch for the engine.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use varve_block::{ChunkKind, EncodedChunk, EncodedSeries, merge::merge_chunks};
use varve_model::{LabelMap, Labels, Matcher, Series, TimeRange};
use varve_promql::order::sorted;
use varve_promql::source::{
    Charge, Decoded, Estimate, MemoryBudget, Reads, SelectRequest, SeriesBatch, SeriesSource,
    SourceError,
};
use varve_wire::{convert, v1};

use crate::gather::{Ask, Part};
use crate::{QueryError, Session};

/// Series that are sorted in before it is looked whether anybody waits: a read
/// that nobody waits for ends wherever it waits itself.
const SERIES_IN_ONE_GO: usize = 1 << 12;
/// How many floats a histogram is work for, about.
const HISTOGRAM_WORK: usize = 16;

impl Session {
    /// The session as the engine's source.
    pub fn source(self: &Arc<Self>) -> Arc<dyn SeriesSource> {
        Arc::new(Source { session: Arc::clone(self), shared: Mutex::default() })
    }
}

struct Source {
    session: Arc<Session>,
    /// What several selectors of the query ask for: read once.
    shared: Mutex<Vec<Sharing>>,
}

/// A read that serves several selects.
struct Sharing {
    matchers: Vec<Matcher>,
    range: TimeRange,
    /// Selects that have not come yet.
    left: usize,
    gathered: Shared<BoxFuture<'static, Result<Arc<Gathered>, QueryError>>>,
}

impl Source {
    /// What is read for a select; for the same selects of a query only once.
    fn gathered(
        &self,
        request: &SelectRequest,
    ) -> BoxFuture<'static, Result<Arc<Gathered>, QueryError>> {
        let SelectRequest { matchers, range, budget, reads, uses, .. } = request;
        let read = {
            let (session, matchers, range) = (Arc::clone(&self.session), matchers.clone(), *range);
            let (budget, reads) = (Arc::clone(budget), Arc::clone(reads));
            async move { session.coded(&matchers, range, &budget, &reads).await.map(Arc::new) }
        };
        if *uses < 2 {
            return read.boxed();
        }
        let mut shared = self.shared.lock();
        let place = shared.iter().position(|s| s.range == *range && s.matchers == *matchers);
        let place = place.unwrap_or_else(|| {
            let (matchers, range) = (matchers.clone(), *range);
            shared.push(Sharing { matchers, range, left: *uses, gathered: read.boxed().shared() });
            shared.len() - 1
        });
        shared[place].left = shared[place].left.saturating_sub(1);
        match shared[place].left {
            0 => shared.swap_remove(place).gathered.boxed(),
            _ => shared[place].gathered.clone().boxed(),
        }
    }
}

impl SeriesSource for Source {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        let gathered = self.gathered(&request);
        let limit = self.session.reader.config.batch_samples;
        let read = async move {
            let SelectRequest { range, budget, .. } = request;
            let batches = gathered.await?.batches(range, limit, budget);
            Ok::<_, SourceError>(stream::iter(batches.map(Ok)))
        };
        stream::once(read).try_flatten().boxed()
    }

    fn estimate(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxFuture<'static, Result<Estimate, SourceError>> {
        let session = Arc::clone(&self.session);
        async move { Ok(session.estimate(&matchers, range).await?) }.boxed()
    }
}

/// Coded chunks by series, in the order of labels, and the memory that they are
/// charged with.
struct Gathered {
    series: Vec<(Labels, Vec<EncodedChunk>)>,
    _charges: Vec<Charge>,
}

impl Session {
    /// Streams the series that match all, sorted by labels, one a batch.
    ///
    /// # Errors
    /// When a source does not answer.
    pub async fn sorted(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<BoxStream<'static, SeriesBatch>, QueryError> {
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let gathered = self.coded(matchers, range, &budget, &Arc::default()).await?;
        Ok(stream::iter(Arc::new(gathered).batches(range, 1, budget)).boxed())
    }

    async fn coded(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &Arc<dyn MemoryBudget>,
        reads: &Arc<Reads>,
    ) -> Result<Gathered, QueryError> {
        let (asked, budget, reads) =
            (convert::matchers(matchers), Arc::clone(budget), Arc::clone(reads));
        let ask: Ask<(Vec<EncodedSeries>, Charge)> = Arc::new(move |peer, scope| {
            let (matchers, budget, reads) =
                (asked.clone(), Arc::clone(&budget), Arc::clone(&reads));
            Box::pin(async move {
                reads.request();
                let request = v1::SelectRequest { scope: Some(scope), matchers };
                let mut parts = peer.select(request).await?;
                let mut charge = Charge::take(&budget, 0)?;
                let (mut series, mut released_at) = (Vec::new(), 0);
                while let Some(part) = parts.try_next().await? {
                    // Parts may come faster than they are read.
                    tokio::task::yield_now().await;
                    released_at = part.released_at.max(released_at);
                    let bytes = part.series.iter().map(EncodedSeries::memory).sum();
                    reads.came(bytes);
                    charge.grow(bytes)?;
                    series.extend(part.series);
                }
                Ok(Part { released_at, value: (series, charge) })
            })
        });
        // A sample right at the excluded beginning tells whether the histogram
        // after it was reset, also where a block ends between the two.
        let widened = TimeRange::new(range.start.saturating_sub(1), range.end);
        let parts = self.gather(widened, matchers, ask).await?;
        let mut by_labels: LabelMap<Vec<EncodedChunk>> = LabelMap::default();
        let mut charges = Vec::with_capacity(parts.len());
        for (series, charge) in parts {
            charges.push(charge);
            for (i, s) in series.into_iter().enumerate() {
                if i.is_multiple_of(SERIES_IN_ONE_GO) {
                    tokio::task::yield_now().await;
                }
                self.reader.metrics.series.inc();
                let bytes: usize = s.chunks.iter().map(|c| c.values.len()).sum();
                self.reader.metrics.chunk_bytes.inc_by(bytes as u64);
                by_labels.entry(s.labels).or_default().extend(s.chunks);
            }
        }
        // In one order for all selects: what depends on order (`limitk`, ties, the
        // last digit of a sum) is the same whenever it is asked, and within one
        // query.
        let pause = || tokio::task::yield_now().map(Ok::<_, QueryError>);
        let series: Vec<_> = by_labels.into_iter().collect();
        let series = sorted(series, |a, b| a.0.cmp(&b.0), pause).await?;
        Ok(Gathered { series, _charges: charges })
    }
}

impl Gathered {
    /// Batches of a bounded number of samples, each decoded by whoever takes it.
    fn batches(
        self: Arc<Self>,
        range: TimeRange,
        limit: usize,
        budget: Arc<dyn MemoryBudget>,
    ) -> impl Iterator<Item = SeriesBatch> + Send + use<> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (first, mut samples) = (next, 0);
            while samples < limit {
                let Some((_, chunks)) = self.series.get(next) else { break };
                samples += chunks.iter().map(work).sum::<usize>();
                next += 1;
            }
            let (gathered, budget, some) = (Arc::clone(&self), Arc::clone(&budget), first..next);
            (!some.is_empty()).then(|| {
                SeriesBatch::later(move || Ok(decode(&gathered.series[some], range, &budget)?))
            })
        })
    }
}

/// What it takes to decode a chunk, in floats.
fn work(chunk: &EncodedChunk) -> usize {
    let count = chunk.count as usize;
    match chunk.kind {
        ChunkKind::Float => count,
        ChunkKind::Histogram => HISTOGRAM_WORK * count,
    }
}

/// Series with their samples in `range`; those without any are left out.
fn decode(
    coded: &[(Labels, Vec<EncodedChunk>)],
    range: TimeRange,
    budget: &Arc<dyn MemoryBudget>,
) -> Result<Decoded, QueryError> {
    let mut charge = Charge::take(budget, 0)?;
    let mut out = Vec::with_capacity(coded.len());
    for (labels, chunks) in coded {
        // Charged before it is allocated: 16 bytes a sample, 24 with start timestamps.
        let count: usize = chunks.iter().map(|c| c.count as usize).sum();
        charge.grow(24 * count + labels.memory())?;
        let (floats, histograms) = merge_chunks(chunks, range)?;
        charge.grow(histograms.memory())?;
        if !floats.is_empty() || !histograms.is_empty() {
            out.push(Series { labels: labels.clone(), floats, histograms });
        }
    }
    Ok(Decoded { series: out, charge })
}
