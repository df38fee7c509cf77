//! Running one PromQL query: its turn, its thread, its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use varve_api::{Answer, QueryError};
use varve_model::{ErrorKind, TenantId};
use varve_promql::engine::{Cancel, Query};
use varve_promql::source::MemoryBudget;
use varve_promql::value::{QueryOutput, QueryValue};
use varve_query::Session;

use crate::Service;

/// Cancels the evaluation when the request's future is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Service {
    /// Runs a query to its end, at most for its time limit.
    pub(crate) async fn run(
        &self,
        tenant: TenantId,
        query: Query,
        timeout: Option<Duration>,
        stats: bool,
    ) -> Result<Answer<QueryValue>, QueryError> {
        let begun = Instant::now();
        let limit = timeout.unwrap_or(Duration::MAX).min(self.config.timeout.0);
        let session = self.reader.session(tenant.clone());
        let work = async {
            let _admitted = self.admission.enter(&tenant).await?;
            let waited = begun.elapsed();
            let output = self.evaluate(&session, query, limit.saturating_sub(waited)).await?;
            Ok((output, waited))
        };
        let (output, waited) = match tokio::time::timeout(limit, work).await {
            Ok(done) => done?,
            Err(_) => {
                return Err(QueryError::new(
                    ErrorKind::Timeout,
                    format!("query timed out after {limit:?} (setting querier.timeout)"),
                ));
            }
        };
        let stats = stats.then(|| render_stats(&output, begun.elapsed(), waited));
        let QueryOutput { value, warnings, infos, stats: _ } = output;
        let coverage = Some(session.coverage().to_json());
        let held = Some(crate::held::hold(&session, &value)?);
        Ok(Answer { value, warnings, infos, coverage, stats, held })
    }

    async fn evaluate(
        &self,
        session: &Arc<Session>,
        query: Query,
        limit: Duration,
    ) -> Result<QueryOutput, QueryError> {
        let cancel = Cancel::default();
        let _guard = CancelOnDrop(cancel.clone());
        let (engine, source) = (self.engine.clone(), session.source());
        let budget: Arc<dyn MemoryBudget> = session.budget();
        let runtime = tokio::runtime::Handle::current();
        let running = self.metrics.running.clone();
        let token = cancel.clone();
        let evaluation = tokio::task::spawn_blocking(move || {
            running.inc();
            let result = runtime.block_on(engine.run(&query, source, budget, token));
            running.dec();
            result
        });
        let expiry = async {
            tokio::time::sleep(limit).await;
            cancel.expire();
        };
        tokio::pin!(evaluation);
        let result = tokio::select! {
            result = &mut evaluation => result,
            () = expiry => evaluation.await,
        };
        match result {
            Ok(output) => output.map_err(|e| QueryError::new(e.kind, e.message)),
            Err(panic) => {
                tracing::error!(error = %panic, "query evaluation panicked");
                Err(QueryError::new(ErrorKind::Internal, "query evaluation failed unexpectedly"))
            }
        }
    }
}

/// Prometheus' statistics, as far as they mean something here.
fn render_stats(output: &QueryOutput, total: Duration, waited: Duration) -> serde_json::Value {
    let evaluation = total.saturating_sub(waited).as_secs_f64();
    serde_json::json!({
        "timings": {
            "evalTotalTime": evaluation,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": evaluation,
            "execQueueTime": waited.as_secs_f64(),
            "execTotalTime": total.as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": output.stats.samples_read,
            "peakSamples": output.stats.peak_samples,
        },
    })
}
