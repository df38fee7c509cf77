//! What a select would have to read: asked of every source, which answers from
//! its indexes, and added up.

use std::sync::Arc;

use varve_model::{Matcher, TimeRange};
use varve_promql::source::Estimate;
use varve_wire::{convert, v1};

use crate::gather::{Ask, Part};
use crate::peer::Peer;
use crate::{QueryError, Session};

impl Session {
    /// What a select of the series that match would read. A series counts once
    /// for each head and block that has it.
    pub(crate) async fn estimate(
        self: &Arc<Self>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Estimate, QueryError> {
        let asked = convert::matchers(matchers);
        let ask: Ask<v1::EstimateResponse> = Arc::new(move |Peer { mut client, .. }, scope| {
            let request = v1::EstimateRequest { scope: Some(scope), matchers: asked.clone() };
            Box::pin(async move {
                let failed = |s| QueryError::from_status("estimate", &s);
                let value = client.estimate(request).await.map_err(failed)?.into_inner();
                let released_at = value.header.as_ref().map_or(0, |h| h.released_at);
                Ok(Part { released_at, value })
            })
        });
        let parts = self.gather(range, matchers, ask).await?;
        let add = |sum: Estimate, part: v1::EstimateResponse| Estimate {
            series: sum.series.saturating_add(part.series),
            samples: sum.samples.saturating_add(part.samples),
            bytes: sum.bytes.saturating_add(part.bytes),
            requests: sum.requests + 1,
        };
        Ok(parts.into_iter().fold(Estimate::default(), add))
    }
}
