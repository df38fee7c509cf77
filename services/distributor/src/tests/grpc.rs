//! The way over gRPC, on the process' own network.

use async_trait::async_trait;
use tonic::{Request, Response, Status};
use varve_cluster::{Address, LocalNetwork, MAX_MESSAGE, Pool, RpcConfig, serve_local};
use varve_model::ErrorKind;
use varve_runtime::Shutdown;
use varve_wire::v1::ingest_server::{Ingest, IngestServer};
use varve_wire::v1::{AppendRequest, AppendResponse, ShipRequest, ShipResponse};

use super::fake::{Fake, Fault};
use super::*;
use crate::{GrpcPartitions, Partitions};

struct Server(Arc<Fake>);

#[async_trait]
impl Ingest for Server {
    async fn append(&self, r: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let request = r.into_inner();
        self.0.append(request.partition, request).await.map(Response::new)
    }

    async fn ship(&self, _: Request<ShipRequest>) -> Result<Response<ShipResponse>, Status> {
        Ok(Response::new(ShipResponse::default()))
    }
}

#[tokio::test]
async fn answers_faults_and_deadlines_cross_the_wire() {
    let fake = Arc::new(Fake::new(2));
    let network = Arc::new(LocalNetwork::new());
    let shutdown = Shutdown::new();
    let routes = tonic::service::Routes::new(IngestServer::new(Server(fake.clone())));
    let server = tokio::spawn(serve_local(network.clone(), routes, shutdown.register(0, "grpc")));
    let pool = Pool::new(RpcConfig::default(), network);
    let channel = pool.channel(&Address::Local).unwrap();
    let deadline = Duration::from_millis(200);
    let partitions = GrpcPartitions::new(vec![channel.clone(), channel], deadline, MAX_MESSAGE);
    assert_eq!(partitions.count(), 2);

    let mut batch = varve_wire::batch::WriteBatch::new(TenantId::anonymous());
    let id = varve_wire::batch::SeriesId::New(labels(&[("__name__", "up")]));
    let mut series = varve_wire::batch::BatchSeries::new(id);
    series.floats.push(NOW, 1.0, 0);
    batch.series.push(series);
    let append = |partition| {
        let batch = batch.encode();
        partitions.append(partition, AppendRequest { partition, batch, ..Default::default() })
    };
    let answer = append(1).await.unwrap();
    assert_eq!((answer.samples, answer.references.len()), (1, 1));
    assert_eq!(fake.held("anonymous", &labels(&[("__name__", "up")]))[0].0, 1);

    let kind = |r: Result<AppendResponse, Status>| varve_wire::status::kind(&r.unwrap_err());
    let corrupt = varve_wire::status::status(ErrorKind::Corrupt, "bad checksum");
    fake.fail(0, Fault::Status(corrupt));
    assert_eq!(kind(append(0).await), ErrorKind::Corrupt);
    assert_eq!(kind(append(2).await), ErrorKind::NotFound);
    fake.fail(0, Fault::Hang);
    assert!(kind(append(0).await).is_retryable());
    server.abort();
}
