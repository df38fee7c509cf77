//! What the query routes ask, answered: the face of the querier.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use varve_api::{
    Answer, BlockSummary, InstantQuery, MetadataQuery, Querier, QueryError, RangeQuery, ReadLimits,
    SeriesExemplars, SeriesQuery, SeriesStream,
};
use varve_model::{Labels, Matcher, Metadata, TenantId, TimeRange};
use varve_promql::engine::{EngineOptions, Query};
use varve_promql::explain::PlanNode;
use varve_promql::value::QueryValue;
use varve_query::Session;

use crate::Service;
use crate::run::within;

fn refuse(e: varve_query::QueryError) -> QueryError {
    QueryError::new(e.kind, e.message)
}

fn covered<T>(session: &Session, value: T) -> Answer<T> {
    Answer { coverage: Some(session.coverage().to_json()), ..Answer::from(value) }
}

fn ms(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl Service {
    /// Bounds a call in time, and counts it.
    async fn counted<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let begun = Instant::now();
        let answer = within(call, self.limit(None), work).await;
        let outcome = answer.as_ref().map_or_else(|e| e.kind.as_str(), |_| "ok");
        self.metrics.queries.with_label_values(&[call, outcome]).inc();
        self.metrics.seconds.with_label_values(&[call]).observe(begun.elapsed().as_secs_f64());
        answer
    }
}

#[async_trait]
impl Querier for Service {
    fn engine_options(&self) -> EngineOptions {
        self.engine.options().clone()
    }

    async fn instant(
        &self,
        tenant: TenantId,
        request: InstantQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        let q = request.query;
        let query = Query {
            lookback_ms: q.lookback.map(ms),
            analyze: q.analyze,
            ..Query::instant(q.text, request.time)
        };
        self.counted("query", self.run(tenant, query, q.timeout, q.stats)).await
    }

    async fn range(
        &self,
        tenant: TenantId,
        request: RangeQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        let q = request.query;
        let query = Query {
            lookback_ms: q.lookback.map(ms),
            analyze: q.analyze,
            ..Query::range(q.text, request.start, request.end, request.step)
        };
        self.counted("query_range", self.run(tenant, query, q.timeout, q.stats)).await
    }

    async fn explain(
        &self,
        tenant: TenantId,
        request: RangeQuery,
    ) -> Result<Answer<PlanNode>, QueryError> {
        let q = request.query;
        let query = Query {
            lookback_ms: q.lookback.map(ms),
            ..Query::range(q.text, request.start, request.end, request.step)
        };
        let explain = within("explain", self.limit(q.timeout), async {
            let _admitted = self.admission.enter(&tenant).await?;
            let session = self.reader.session(tenant.clone());
            let plan = self.engine.explain(&query, session.source()).await;
            let plan = plan.map_err(|e| QueryError::new(e.kind, e.message))?;
            Ok(covered(&session, plan))
        });
        self.counted("explain", explain).await
    }

    fn read_limits(&self) -> ReadLimits {
        ReadLimits {
            max_samples: self.config.remote_read_max_samples,
            frame_bytes: usize::try_from(self.config.remote_read_frame.0).unwrap_or(usize::MAX),
            stalled: self.config.timeout.0,
        }
    }

    async fn read(
        &self,
        tenant: TenantId,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<SeriesStream, QueryError> {
        self.counted("read", async {
            // A read takes a place among the queries until its last batch is taken.
            let admitted = self.admission.enter(&tenant).await?;
            let session = self.reader.session(tenant);
            let batches = session.sorted(&matchers, range).await.map_err(refuse)?;
            let batches = batches.map(move |batch| {
                let _held = &admitted;
                batch.decode().map_err(|e| QueryError::new(e.kind, e.message))
            });
            Ok(SeriesStream { batches: batches.boxed(), budget: session.budget() })
        })
        .await
    }

    async fn exemplars(
        &self,
        tenant: TenantId,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> Result<Answer<Vec<SeriesExemplars>>, QueryError> {
        self.counted("query_exemplars", async {
            let session = self.reader.session(tenant);
            let found = session.exemplars(&selectors, range).await.map_err(refuse)?;
            let series = found
                .into_iter()
                .map(|(labels, exemplars)| SeriesExemplars { labels, exemplars })
                .collect();
            Ok(covered(&session, series))
        })
        .await
    }

    async fn series(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<Labels>>, QueryError> {
        self.counted("series", async {
            let session = self.reader.session(tenant);
            let range = query.range.unwrap_or(TimeRange::ALL);
            let found = session.series(&query.selectors, range, query.limit).await;
            Ok(covered(&session, found.map_err(refuse)?))
        })
        .await
    }

    async fn labels(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.counted("labels", async {
            let session = self.reader.session(tenant);
            let range = query.range.unwrap_or(TimeRange::ALL);
            let found = session.label_names(&query.selectors, range, query.limit).await;
            Ok(covered(&session, found.map_err(refuse)?))
        })
        .await
    }

    async fn label_values(
        &self,
        tenant: TenantId,
        name: String,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.counted("label_values", async {
            let session = self.reader.session(tenant);
            let range = query.range.unwrap_or(TimeRange::ALL);
            let found = session.label_values(&name, &query.selectors, range, query.limit).await;
            Ok(covered(&session, found.map_err(refuse)?))
        })
        .await
    }

    async fn blocks(&self, tenant: TenantId) -> Result<Answer<Vec<BlockSummary>>, QueryError> {
        self.counted("blocks", async {
            let session = self.reader.session(tenant);
            let (entries, charge) = session.blocks().await.map_err(refuse)?;
            let summary = |b: varve_query::BlockEntry| BlockSummary {
                id: b.id.to_string(),
                min_time: b.min_time,
                max_time: b.max_time,
                samples: b.samples,
                series: b.series,
                level: b.level,
                sources: b.sources.iter().map(ToString::to_string).collect(),
            };
            let blocks = entries.into_iter().map(summary).collect();
            Ok(Answer { held: Some(Arc::new(charge)), ..covered(&session, blocks) })
        })
        .await
    }

    async fn metadata(
        &self,
        tenant: TenantId,
        query: MetadataQuery,
    ) -> Result<Answer<BTreeMap<String, Vec<Metadata>>>, QueryError> {
        let at_most = |n: usize| if n == 0 { usize::MAX } else { n };
        self.counted("metadata", async {
            let session = self.reader.session(tenant);
            let found = session.metadata(query.metric.as_deref()).await.map_err(refuse)?;
            let cut = |set: std::collections::BTreeSet<Metadata>| {
                set.into_iter().take(at_most(query.limit_per_metric)).collect()
            };
            let metadata = found
                .into_iter()
                .take(at_most(query.limit))
                .map(|(name, set)| (name, cut(set)))
                .collect();
            Ok(covered(&session, metadata))
        })
        .await
    }
}
