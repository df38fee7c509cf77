//! Appending one batch to one partition.

use std::sync::Arc;

use varve_head::{AppendLimits, AppendOutcome, RefusalReason};
use varve_wire::v1;

use crate::error::{IngesterError, Result};
use crate::start::Ingester;

impl Ingester {
    pub(crate) async fn run_append(
        &self,
        request: v1::AppendRequest,
    ) -> Result<v1::AppendResponse> {
        let hosted = self.hosted(request.partition)?;
        self.check_disk(request.batch.len())?;
        let admitted = self.admission.admit(&request.tenant, request.batch.len()).await;
        let admitted = admitted.inspect_err(|_| self.metrics.refused_room.inc())?;
        let limits = AppendLimits {
            max_series: request.max_series,
            out_of_order_window_ms: request.out_of_order_window_ms,
        };
        let partition = Arc::clone(&hosted.partition);
        // From here on the batch is on its way into the log, and takes its
        // room until it is there, also when its sender no longer waits.
        let task = tokio::spawn(async move {
            let outcome = partition.append(request.batch, limits).await;
            drop(admitted);
            outcome
        });
        Ok(answer(task.await.map_err(|_| IngesterError::CutOff("an append"))??))
    }
}

fn answer(outcome: AppendOutcome) -> v1::AppendResponse {
    let refusals = outcome.refusals.into_iter().map(|refusal| v1::Refusal {
        reason: reason(refusal.reason).into(),
        series: refusal.series,
        timestamp: refusal.timestamp.unwrap_or_default(),
        count: refusal.count,
        detail: refusal.detail,
    });
    v1::AppendResponse {
        unknown: outcome.unknown,
        references: outcome.references,
        refusals: refusals.collect(),
        samples: outcome.samples,
        histograms: outcome.histograms,
        exemplars: outcome.exemplars,
    }
}

fn reason(reason: RefusalReason) -> v1::refusal::Reason {
    match reason {
        RefusalReason::OutOfOrder => v1::refusal::Reason::OutOfOrder,
        RefusalReason::Duplicate => v1::refusal::Reason::Duplicate,
        RefusalReason::SeriesLimit => v1::refusal::Reason::SeriesLimit,
        RefusalReason::TooOld => v1::refusal::Reason::TooOld,
    }
}
