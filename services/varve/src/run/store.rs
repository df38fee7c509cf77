//! `Store` of a process that is both ingester and store-gateway: a request
//! that names blocks is the gateway's, any other the ingester's.

use futures::stream::BoxStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use varve_ingester::Ingester;
use varve_query::near::{Near, SelectPart};
use varve_query::stream::Frames;
use varve_store_gateway::Gateway;
use varve_wire::v1;
use varve_wire::v1::store_server::Store;

/// Whoever of this process holds series.
#[derive(Clone, Default)]
pub(super) struct Stores {
    pub(super) heads: Option<Ingester>,
    pub(super) blocks: Option<Gateway>,
}

/// Hands a call of a trait to the role that its scope is for.
macro_rules! dispatch {
    ($self:ident, $call:path, $request:ident, $scope:expr) => {{
        let of_blocks = $scope.as_ref().is_some_and(|s| !s.blocks.is_empty());
        match (of_blocks, &$self.blocks, &$self.heads) {
            (true, Some(gateway), _) => $call(gateway, $request).await,
            (false, _, Some(ingester)) => $call(ingester, $request).await,
            (true, None, _) => Err(Status::unimplemented("this process is no store-gateway")),
            (false, _, None) => Err(Status::unimplemented("this process is no ingester")),
        }
    }};
}

#[async_trait]
impl Near for Stores {
    async fn select(&self, request: v1::SelectRequest) -> Result<Frames<SelectPart>, Status> {
        dispatch!(self, Near::select, request, request.scope)
    }
}

#[async_trait]
impl Store for Stores {
    type SelectStream = BoxStream<'static, Result<v1::SelectFrame, Status>>;
    type SeriesStream = ReceiverStream<Result<v1::SeriesFrame, Status>>;

    async fn select(
        &self,
        request: Request<v1::SelectRequest>,
    ) -> Result<Response<Self::SelectStream>, Status> {
        dispatch!(self, Store::select, request, request.get_ref().scope)
    }

    async fn estimate(
        &self,
        request: Request<v1::EstimateRequest>,
    ) -> Result<Response<v1::EstimateResponse>, Status> {
        dispatch!(self, Store::estimate, request, request.get_ref().scope)
    }

    async fn series(
        &self,
        request: Request<v1::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        dispatch!(self, Store::series, request, request.get_ref().scope)
    }

    async fn label_names(
        &self,
        request: Request<v1::LabelNamesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        dispatch!(self, Store::label_names, request, request.get_ref().scope)
    }

    async fn label_values(
        &self,
        request: Request<v1::LabelValuesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        dispatch!(self, Store::label_values, request, request.get_ref().scope)
    }

    async fn exemplars(
        &self,
        request: Request<v1::ExemplarsRequest>,
    ) -> Result<Response<v1::ExemplarsResponse>, Status> {
        dispatch!(self, Store::exemplars, request, request.get_ref().scope)
    }

    async fn metadata(
        &self,
        request: Request<v1::MetadataRequest>,
    ) -> Result<Response<v1::MetadataResponse>, Status> {
        dispatch!(self, Store::metadata, request, request.get_ref().scope)
    }
}
