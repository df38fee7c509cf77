//! The faces of a store-gateway, over gRPC and within the process: decode,
//! call, encode, count.

use futures::stream::BoxStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use varve_query::frames;
use varve_query::near::{Near, SelectPart};
use varve_query::stream::Frames;
use varve_wire::v1;
use varve_wire::v1::store_server::Store;

use crate::Gateway;

#[async_trait]
impl Near for Gateway {
    async fn select(&self, request: v1::SelectRequest) -> Result<Frames<SelectPart>, Status> {
        let answer = self.run_select(request);
        self.metrics.request("select", &answer);
        answer
    }
}

#[async_trait]
impl Store for Gateway {
    type SelectStream = BoxStream<'static, Result<v1::SelectFrame, Status>>;
    type SeriesStream = ReceiverStream<Result<v1::SeriesFrame, Status>>;

    async fn select(
        &self,
        request: Request<v1::SelectRequest>,
    ) -> Result<Response<Self::SelectStream>, Status> {
        let parts = Near::select(self, request.into_inner()).await?;
        Ok(Response::new(frames::written(parts)))
    }

    async fn estimate(
        &self,
        request: Request<v1::EstimateRequest>,
    ) -> Result<Response<v1::EstimateResponse>, Status> {
        let answer = self.run_estimate(request.into_inner()).await;
        self.metrics.request("estimate", &answer);
        answer.map(Response::new)
    }

    async fn series(
        &self,
        request: Request<v1::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let answer = self.run_series(request.into_inner());
        self.metrics.request("series", &answer);
        answer.map(|frames| Response::new(ReceiverStream::new(frames)))
    }

    async fn label_names(
        &self,
        request: Request<v1::LabelNamesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        let answer = self.run_label_names(request.into_inner()).await;
        self.metrics.request("label_names", &answer);
        answer.map(Response::new)
    }

    async fn label_values(
        &self,
        request: Request<v1::LabelValuesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        let answer = self.run_label_values(request.into_inner()).await;
        self.metrics.request("label_values", &answer);
        answer.map(Response::new)
    }

    async fn exemplars(
        &self,
        request: Request<v1::ExemplarsRequest>,
    ) -> Result<Response<v1::ExemplarsResponse>, Status> {
        let answer = self.run_exemplars(request.into_inner()).await;
        self.metrics.request("exemplars", &answer);
        answer.map(Response::new)
    }

    async fn metadata(
        &self,
        request: Request<v1::MetadataRequest>,
    ) -> Result<Response<v1::MetadataResponse>, Status> {
        let answer = self.run_metadata(request.into_inner()).await;
        self.metrics.request("metadata", &answer);
        answer.map(Response::new)
    }
}
