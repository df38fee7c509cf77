//! Series with samples: gathers coded chunks from everywhere, merges what
//! belongs to one series, and decodes batch by batch for the engine.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use varve_block::{EncodedChunk, EncodedSeries, merge::merge_chunks};
use varve_model::{LabelMap, Labels, Matcher, Series, TimeRange};
use varve_promql::source::{
    Charge, Decoded, MemoryBudget, SelectRequest, SeriesBatch, SeriesSource, SourceError,
};
use varve_wire::{convert, v1};

use crate::frames::read_frame;
use crate::gather::{Ask, Part};
use crate::{QueryError, Session};

impl Session {
    /// The session as the engine's source.
    pub fn source(self: &Arc<Self>) -> Arc<dyn SeriesSource> {
        Arc::new(Source(Arc::clone(self)))
    }
}

struct Source(Arc<Session>);

impl SeriesSource for Source {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxStream<'static, Result<SeriesBatch, SourceError>> {
        let session = Arc::clone(&self.0);
        let read = async move {
            let SelectRequest { matchers, range, budget, .. } = request;
            let gathered = session.coded(&matchers, range, &budget).await?;
            let limit = session.reader.config.batch_samples;
            Ok::<_, SourceError>(stream::iter(gathered.batches(range, limit, budget).map(Ok)))
        };
        stream::once(read).try_flatten().boxed()
    }
}

/// Coded chunks by series, in the order of labels, and the memory that they are
/// charged with.
struct Gathered {
    series: Vec<(Labels, Vec<EncodedChunk>)>,
    charges: Vec<Charge>,
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
        let gathered = self.coded(matchers, range, &budget).await?;
        Ok(stream::iter(gathered.batches(range, 1, budget)).boxed())
    }

    async fn coded(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &Arc<dyn MemoryBudget>,
    ) -> Result<Gathered, QueryError> {
        let (asked, budget) = (convert::matchers(matchers), Arc::clone(budget));
        let ask: Ask<(Vec<EncodedSeries>, Charge)> = Arc::new(move |mut client, scope| {
            let (matchers, budget) = (asked.clone(), Arc::clone(&budget));
            Box::pin(async move {
                let request = v1::SelectRequest { scope: Some(scope), matchers };
                let failed = |s| QueryError::from_status("select", &s);
                let mut frames = client.select(request).await.map_err(failed)?.into_inner();
                let mut charge = Charge::take(&budget, 0)?;
                let (mut series, mut released_at) = (Vec::new(), 0);
                while let Some(frame) = frames.message().await.map_err(failed)? {
                    released_at = frame.header.as_ref().map_or(released_at, |h| h.released_at);
                    let read = read_frame(frame)?;
                    charge.grow(read.iter().map(EncodedSeries::memory).sum())?;
                    series.extend(read);
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
            for s in series {
                self.reader.metrics.series.inc();
                let bytes: usize = s.chunks.iter().map(|c| c.values.len()).sum();
                self.reader.metrics.chunk_bytes.inc_by(bytes as u64);
                by_labels.entry(s.labels).or_default().extend(s.chunks);
            }
        }
        // In one order for all selects: what depends on order (`limitk`, ties, the
        // last digit of a sum) is the same whenever it is asked, and within one
        // query.
        let mut series: Vec<_> = by_labels.into_iter().collect();
        series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Gathered { series, charges })
    }
}

impl Gathered {
    /// Batches of a bounded number of samples, each decoded by whoever takes it.
    fn batches(
        self,
        range: TimeRange,
        limit: usize,
        budget: Arc<dyn MemoryBudget>,
    ) -> impl Iterator<Item = SeriesBatch> + Send + use<> {
        let charges = Arc::new(self.charges);
        let mut series = self.series.into_iter();
        std::iter::from_fn(move || {
            let (mut some, mut samples) = (Vec::new(), 0);
            while samples < limit {
                let Some(next) = series.next() else { break };
                samples += next.1.iter().map(|c| c.count as usize).sum::<usize>();
                some.push(next);
            }
            let (budget, charges) = (Arc::clone(&budget), Arc::clone(&charges));
            (!some.is_empty()).then(|| {
                SeriesBatch::later(move || {
                    let decoded = decode(some, range, &budget).map_err(SourceError::from);
                    drop(charges);
                    decoded
                })
            })
        })
    }
}

/// Series with their samples in `range`; those without any are left out.
fn decode(
    coded: Vec<(Labels, Vec<EncodedChunk>)>,
    range: TimeRange,
    budget: &Arc<dyn MemoryBudget>,
) -> Result<Decoded, QueryError> {
    let mut charge = Charge::take(budget, 0)?;
    let mut out = Vec::with_capacity(coded.len());
    for (labels, chunks) in coded {
        // Charged before it is allocated: 16 bytes a sample, 24 with start timestamps.
        let count: usize = chunks.iter().map(|c| c.count as usize).sum();
        charge.grow(24 * count + labels.memory())?;
        let (floats, histograms) = merge_chunks(&chunks, range)?;
        charge.grow(histograms.memory())?;
        if !floats.is_empty() || !histograms.is_empty() {
            out.push(Series { labels, floats, histograms });
        }
    }
    Ok(Decoded { series: out, charge })
}
