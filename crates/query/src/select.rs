//! Reading series with samples: everybody is asked for coded chunks.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use varve_block::EncodedSeries;
use varve_model::{Matcher, TimeRange};
use varve_promql::source::{Charge, MemoryBudget, Reads, SeriesBatch};
use varve_wire::{convert, v1};

use crate::gather::{Ask, Part};
use crate::gathered::{Gathered, Parts};
use crate::{QueryError, Session};

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

    /// Reads the series that match, still coded.
    pub(crate) async fn coded(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &Arc<dyn MemoryBudget>,
        reads: &Arc<Reads>,
    ) -> Result<Gathered, QueryError> {
        let (asked, held, reads) =
            (convert::matchers(matchers), Arc::clone(budget), Arc::clone(reads));
        let ask: Ask<(Parts, Charge)> = Arc::new(move |peer, scope| {
            let (matchers, budget, reads) = (asked.clone(), Arc::clone(&held), Arc::clone(&reads));
            Box::pin(async move {
                reads.request();
                let request = v1::SelectRequest { scope: Some(scope), matchers };
                let mut parts = peer.select(request).await?;
                let mut charge = Charge::take(&budget, 0)?;
                let (mut all, mut released_at) = (Parts::new(), 0);
                while let Some(part) = parts.try_next().await? {
                    // Parts may come faster than they are read.
                    tokio::task::yield_now().await;
                    released_at = part.released_at.max(released_at);
                    let bytes = part.series.iter().map(EncodedSeries::memory).sum();
                    reads.came(bytes);
                    charge.grow(bytes)?;
                    all.push(part.series);
                }
                Ok(Part { released_at, value: (all, charge) })
            })
        });
        // A sample right at the excluded beginning tells whether the histogram
        // after it was reset, also where a block ends between the two.
        let widened = TimeRange::new(range.start.saturating_sub(1), range.end);
        let parts = self.gather(widened, matchers, ask).await?;
        let (parts, charges): (Vec<Parts>, _) = parts.into_iter().unzip();
        let parts: Parts = parts.into_iter().flatten().collect();
        let series = parts.iter().map(|part| part.len() as u64).sum();
        let chunks = parts.iter().flatten().flat_map(|s| &s.chunks);
        self.reader.metrics.series.inc_by(series);
        self.reader.metrics.chunk_bytes.inc_by(chunks.map(|c| c.values.len() as u64).sum());
        Gathered::new(parts, charges, budget).await
    }
}
