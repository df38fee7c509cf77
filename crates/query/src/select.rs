//! Series with samples: gathers coded chunks from everywhere, merges what
//! belongs to one series, and decodes batch by batch for the engine.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use varve_block::{EncodedChunk, EncodedSeries, merge::merge_chunks};
use varve_model::{Labels, Matcher, Series, TimeRange};
use varve_promql::source::{
    Charge, MemoryBudget, SelectRequest, SeriesBatch, SeriesSource, SourceError,
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
        stream::once(async move {
            let SelectRequest { range, matchers, .. } = request;
            match session.coded(&matchers, range).await {
                Ok(gathered) => {
                    let batch_samples = session.reader.config.batch_samples;
                    Batches { session, range, gathered, batch_samples }.stream()
                }
                Err(e) => stream::once(async move { Err(e) }).boxed(),
            }
        })
        .flatten()
        .map(|batch| batch.map_err(SourceError::from))
        .boxed()
    }
}

/// Coded chunks by series, and the memory that they are charged with.
struct Gathered {
    series: Vec<(Labels, Vec<EncodedChunk>)>,
    _charges: Vec<Charge>,
}

impl Session {
    /// Streams the series that match all, sorted by labels, one a batch.
    ///
    /// # Errors
    /// When a source does not answer; what cannot be decoded later ends the
    /// stream with an error.
    pub async fn sorted(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<BoxStream<'static, Result<SeriesBatch, QueryError>>, QueryError> {
        let mut gathered = self.coded(matchers, range).await?;
        // They are taken from the end.
        gathered.series.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        Ok(Batches { session: Arc::clone(self), range, gathered, batch_samples: 1 }.stream())
    }

    async fn coded(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Gathered, QueryError> {
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let asked = convert::matchers(matchers);
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
        let mut by_labels: HashMap<Labels, Vec<EncodedChunk>> = HashMap::new();
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
        Ok(Gathered { series: by_labels.into_iter().collect(), _charges: charges })
    }
}

/// Decodes gathered series, a bounded number of samples at a time.
struct Batches {
    session: Arc<Session>,
    range: TimeRange,
    gathered: Gathered,
    /// A batch is full when it has so many.
    batch_samples: usize,
}

impl Batches {
    fn stream(self) -> BoxStream<'static, Result<SeriesBatch, QueryError>> {
        stream::unfold(Some(self), |state| async move {
            let mut state = state?;
            match state.next() {
                Ok(None) => None,
                Ok(Some(batch)) => Some((Ok(batch), Some(state))),
                Err(e) => Some((Err(e), None)),
            }
        })
        .boxed()
    }

    fn next(&mut self) -> Result<Option<SeriesBatch>, QueryError> {
        let budget: Arc<dyn MemoryBudget> = self.session.budget();
        let mut charge = Charge::take(&budget, 0)?;
        let (mut out, mut samples) = (Vec::new(), 0);
        while samples < self.batch_samples {
            let Some((labels, chunks)) = self.gathered.series.pop() else { break };
            // Charged before it is allocated: 16 bytes a sample, 24 with start timestamps.
            let count: usize = chunks.iter().map(|c| c.count as usize).sum();
            charge.grow(24 * count + labels.memory())?;
            let (floats, histograms) = merge_chunks(&chunks, self.range)?;
            charge.grow(histograms.memory())?;
            samples += floats.len() + histograms.len();
            if !floats.is_empty() || !histograms.is_empty() {
                out.push(Series { labels, floats, histograms });
            }
        }
        if out.is_empty() && self.gathered.series.is_empty() {
            return Ok(None);
        }
        Ok(Some(SeriesBatch { series: out, charge }))
    }
}
