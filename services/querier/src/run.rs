//! Running one PromQL query: its turn, its thread, its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use varve_api::{Answer, QueryError, Stats};
use varve_model::{ErrorKind, TenantId};
use varve_promql::engine::{Cancel, Query};
use varve_promql::source::MemoryBudget;
use varve_promql::value::{QueryOutput, QueryStats, QueryValue};
use varve_query::Session;

use crate::Service;

/// Cancels the evaluation when the request's future is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Does what a call asks for, at most for so long.
pub(crate) async fn within<T>(
    call: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let text = format!("{call} timed out after {limit:?} (setting querier.timeout)");
        Err(QueryError::new(ErrorKind::Timeout, text))
    })
}

impl Service {
    /// How long a request may take that asks for `timeout`.
    pub(crate) fn limit(&self, timeout: Option<Duration>) -> Duration {
        timeout.unwrap_or(Duration::MAX).min(self.config.timeout.0)
    }

    /// Runs a query to its end, at most for its time limit.
    pub(crate) async fn run(
        &self,
        tenant: TenantId,
        query: Query,
        timeout: Option<Duration>,
        stats: Stats,
    ) -> Result<Answer<QueryValue>, QueryError> {
        let begun = Instant::now();
        let limit = self.limit(timeout);
        let session = self.reader.session(tenant.clone());
        let mut waited = Duration::ZERO;
        let work = async {
            let _admitted = self.admission.enter(&tenant).await?;
            waited = begun.elapsed();
            self.evaluate(&session, query.clone(), limit.saturating_sub(waited)).await
        };
        let done = within("query", limit, work).await;
        let cost = done.as_ref().map(|output| output.stats.clone()).unwrap_or_default();
        let per_step = stats == Stats::All && self.engine.options().per_step_stats;
        let render = |per_step: bool| {
            let grid = per_step.then_some((query.start_ms, query.step_ms));
            render_stats(&cost, grid, begun.elapsed(), waited)
        };
        if let Some(log) = &self.log {
            let error = done.as_ref().err().map(|e| e.message.as_str());
            log.add(&tenant, &query, error, &render(false));
        }
        let stats = (stats != Stats::None).then(|| render(per_step));
        let QueryOutput { value, warnings, infos, stats: _, plan: analysis } = done?;
        let coverage = Some(session.coverage().to_json());
        let held = Some(crate::held::hold(&session, &value)?);
        Ok(Answer { value, warnings, infos, coverage, stats, analysis, held })
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

/// Prometheus' statistics; by step when the grid's start and step are given.
fn render_stats(
    cost: &QueryStats,
    grid: Option<(i64, i64)>,
    total: Duration,
    waited: Duration,
) -> serde_json::Value {
    let evaluation = total.saturating_sub(waited).as_secs_f64();
    let mut samples = serde_json::json!({
        "totalQueryableSamples": cost.samples,
        "samplesRead": cost.samples_read,
        "peakSamples": cost.peak_samples,
    });
    if let Some((start, step)) = grid {
        let steps = |counts: &[u64]| -> serde_json::Value {
            let times = (0_i64..).map(|i| (start + i * step) as f64 / 1000.0);
            times.zip(counts).map(|(t, n)| serde_json::json!([t, n])).collect()
        };
        samples["totalQueryableSamplesPerStep"] = steps(&cost.samples_per_step);
        samples["samplesReadPerStep"] = steps(&cost.samples_read_per_step);
    }
    serde_json::json!({
        "timings": {
            "evalTotalTime": evaluation,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": evaluation,
            "execQueueTime": waited.as_secs_f64(),
            "execTotalTime": total.as_secs_f64(),
        },
        "samples": samples,
    })
}
