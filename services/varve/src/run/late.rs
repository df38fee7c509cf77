//! Roles that are not there yet: the HTTP listener answers from the first
//! moment, and says 503 until what stands behind a route has started.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use varve_api::{
    Answer, BlockSummary, InstantQuery, MetadataQuery, Querier, QueryError, RangeQuery, ReadLimits,
    RequestRoom, SeriesExemplars, SeriesQuery, SeriesStream, WriteReply, WriteRequest, Writer,
};
use varve_model::{ErrorKind, Labels, Matcher, Metadata, TenantId, TimeRange};
use varve_promql::{engine::EngineOptions, explain::PlanNode, value::QueryValue};

/// A role, once it has started.
pub(crate) struct Late<T: ?Sized> {
    name: &'static str,
    role: OnceLock<Arc<T>>,
}

impl<T: ?Sized> Late<T> {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, role: OnceLock::new() })
    }

    /// The role has started; only the first call counts.
    pub(crate) fn set(&self, role: Arc<T>) {
        let _ = self.role.set(role);
    }

    fn missing(&self) -> String {
        format!("the {} of this process has not started, or it has none", self.name)
    }
}

#[async_trait]
impl Writer for Late<dyn Writer> {
    fn room(&self, tenant: &TenantId) -> Box<dyn RequestRoom> {
        match self.role.get() {
            Some(writer) => writer.room(tenant),
            None => Box::new(NotYet(self.late())),
        }
    }

    async fn write(
        &self,
        tenant: TenantId,
        request: WriteRequest,
        room: &mut dyn RequestRoom,
    ) -> WriteReply {
        match self.role.get() {
            Some(writer) => writer.write(tenant, request, room).await,
            None => self.late(),
        }
    }
}

/// No room, because nobody would take the body.
struct NotYet(WriteReply);

impl RequestRoom for NotYet {
    fn grow(&mut self, _: u64) -> Result<(), WriteReply> {
        Err(self.0.clone())
    }
}

impl Late<dyn Writer> {
    fn late(&self) -> WriteReply {
        WriteReply {
            status: 503,
            message: self.missing(),
            retry_after: Some(Duration::from_secs(1)),
            ..WriteReply::default()
        }
    }
}

impl Late<dyn Querier> {
    fn get(&self) -> Result<&Arc<dyn Querier>, QueryError> {
        self.role.get().ok_or_else(|| QueryError::new(ErrorKind::Unavailable, self.missing()))
    }
}

#[async_trait]
impl Querier for Late<dyn Querier> {
    fn engine_options(&self) -> EngineOptions {
        self.role.get().map(|q| q.engine_options()).unwrap_or_default()
    }

    async fn instant(
        &self,
        tenant: TenantId,
        query: InstantQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        self.get()?.instant(tenant, query).await
    }

    async fn range(
        &self,
        tenant: TenantId,
        query: RangeQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        self.get()?.range(tenant, query).await
    }

    async fn explain(
        &self,
        tenant: TenantId,
        query: RangeQuery,
    ) -> Result<Answer<PlanNode>, QueryError> {
        self.get()?.explain(tenant, query).await
    }

    fn read_limits(&self) -> ReadLimits {
        let none = ReadLimits { max_samples: 0, frame_bytes: 0, stalled: Duration::ZERO };
        self.role.get().map_or(none, |q| q.read_limits())
    }

    async fn read(
        &self,
        tenant: TenantId,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<SeriesStream, QueryError> {
        self.get()?.read(tenant, matchers, range).await
    }

    async fn exemplars(
        &self,
        tenant: TenantId,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> Result<Answer<Vec<SeriesExemplars>>, QueryError> {
        self.get()?.exemplars(tenant, selectors, range).await
    }

    async fn series(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<Labels>>, QueryError> {
        self.get()?.series(tenant, query).await
    }

    async fn labels(
        &self,
        tenant: TenantId,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.get()?.labels(tenant, query).await
    }

    async fn label_values(
        &self,
        tenant: TenantId,
        name: String,
        query: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.get()?.label_values(tenant, name, query).await
    }

    async fn blocks(&self, tenant: TenantId) -> Result<Answer<Vec<BlockSummary>>, QueryError> {
        self.get()?.blocks(tenant).await
    }

    async fn metadata(
        &self,
        tenant: TenantId,
        query: MetadataQuery,
    ) -> Result<Answer<BTreeMap<String, Vec<Metadata>>>, QueryError> {
        self.get()?.metadata(tenant, query).await
    }
}
