//! The faces of an ingester, over gRPC and within the process: decode, call,
//! encode, count.

use futures::stream::BoxStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use varve_query::frames;
use varve_query::near::{Near, SelectPart};
use varve_query::stream::Frames;
use varve_wire::v1;
use varve_wire::v1::ingest_server::Ingest;
use varve_wire::v1::store_server::Store;

use crate::error::Result as Answer;
use crate::start::Ingester;

impl Ingester {
    /// Counts the outcome of a call and makes it an answer.
    fn answer<T>(&self, call: &str, answer: Answer<T>) -> Result<Response<T>, Status> {
        self.counted(call, answer).map(Response::new)
    }

    /// Counts the outcome of a call.
    fn counted<T>(&self, call: &str, answer: Answer<T>) -> Result<T, Status> {
        let answer = answer.map_err(Status::from);
        self.metrics.request(call, &answer);
        answer
    }
}

#[async_trait]
impl Ingest for Ingester {
    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        self.answer("append", self.run_append(request.into_inner()).await)
    }

    async fn ship(
        &self,
        request: Request<v1::ShipRequest>,
    ) -> Result<Response<v1::ShipResponse>, Status> {
        self.answer("ship", self.run_ship(request.into_inner()).await)
    }
}

#[async_trait]
impl Near for Ingester {
    async fn select(&self, request: v1::SelectRequest) -> Result<Frames<SelectPart>, Status> {
        self.counted("select", self.run_select(request).await)
    }
}

#[async_trait]
impl Store for Ingester {
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
        self.answer("estimate", self.run_estimate(request.into_inner()).await)
    }

    async fn series(
        &self,
        request: Request<v1::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        let frames = self.run_series(request.into_inner()).await;
        self.answer("series", frames.map(ReceiverStream::new))
    }

    async fn label_names(
        &self,
        request: Request<v1::LabelNamesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        self.answer("label_names", self.run_label_names(request.into_inner()).await)
    }

    async fn label_values(
        &self,
        request: Request<v1::LabelValuesRequest>,
    ) -> Result<Response<v1::LabelsResponse>, Status> {
        self.answer("label_values", self.run_label_values(request.into_inner()).await)
    }

    async fn exemplars(
        &self,
        request: Request<v1::ExemplarsRequest>,
    ) -> Result<Response<v1::ExemplarsResponse>, Status> {
        self.answer("exemplars", self.run_exemplars(request.into_inner()).await)
    }

    async fn metadata(
        &self,
        request: Request<v1::MetadataRequest>,
    ) -> Result<Response<v1::MetadataResponse>, Status> {
        self.answer("metadata", self.run_metadata(request.into_inner()).await)
    }
}
