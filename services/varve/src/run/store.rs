//! `Store` of a process that is both ingester and store-gateway: a request
//! that names blocks is the gateway's, any other the ingester's.

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use varve_ingester::Ingester;
use varve_store_gateway::Gateway;
use varve_wire::v1;
use varve_wire::v1::store_server::Store;

/// Whoever of this process holds series.
#[derive(Clone, Default)]
pub(super) struct Stores {
    pub(super) heads: Option<Ingester>,
    pub(super) blocks: Option<Gateway>,
}

/// Hands a call to the role that its scope is for.
macro_rules! dispatch {
    ($self:ident.$call:ident($request:ident)) => {{
        let of_blocks = $request.get_ref().scope.as_ref().is_some_and(|s| !s.blocks.is_empty());
        match (of_blocks, &$self.blocks, &$self.heads) {
            (true, Some(gateway), _) => gateway.$call($request).await,
            (false, _, Some(ingester)) => ingester.$call($request).await,
            (true, None, _) => Err(Status::unimplemented("this process is no store-gateway")),
            (false, _, None) => Err(Status::unimplemented("this process is no ingester")),
        }
    }};
}

#[async_trait]
impl Store for Stores {
    type SelectStream = ReceiverStream<Result<v1::SelectFrame, Status>>;
    type SeriesStream = ReceiverStream<Result<v1::SeriesFrame, Status>>;

    async fn select(
        &self,
        request: Request<v1::SelectRequest>,
    ) -> Result<Response<Self::SelectStream>, Status> {
        dispatch!(self.select(request))
    }

    async fn estimate(
        &self,
        request: Request<v1::EstimateRequest>,
    ) -> Result<Response<v1::EstimateResponse>, Status> {
        dispatch!(self.estimate(request))
    }

    async fn series(
        &self,
        request: Request<v1::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        dispatch!(self.series(request))
    }

    async fn label_names(
        &self,
        request: Request<v1::LabelNamesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        dispatch!(self.label_names(request))
    }

    async fn label_values(
        &self,
        request: Request<v1::LabelValuesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        dispatch!(self.label_values(request))
    }

    async fn exemplars(
        &self,
        request: Request<v1::ExemplarsRequest>,
    ) -> Result<Response<v1::ExemplarsResponse>, Status> {
        dispatch!(self.exemplars(request))
    }

    async fn metadata(
        &self,
        request: Request<v1::MetadataRequest>,
    ) -> Result<Response<v1::MetadataResponse>, Status> {
        dispatch!(self.metadata(request))
    }
}
