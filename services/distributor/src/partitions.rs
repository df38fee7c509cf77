//! The way to partitions: a small trait, so that requests can be tested
//! without a network, and its implementation over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use tonic::transport::Channel;
use tonic::{Request, Status};
use varve_wire::v1::ingest_client::IngestClient;
use varve_wire::v1::{AppendRequest, AppendResponse};

/// The partitions of the installation.
#[async_trait]
pub trait Partitions: Send + Sync {
    /// How many there are; they are numbered from 0. At least 1.
    fn count(&self) -> u32;

    /// Sends one batch to a partition. On `Ok` without unknown references,
    /// what was not refused is durable. Sending it again is harmless.
    ///
    /// # Errors
    /// As `proto/varve/v1/ingest.proto` says.
    async fn append(
        &self,
        partition: u32,
        request: AppendRequest,
    ) -> Result<AppendResponse, Status>;
}

/// Partitions reached over gRPC, one channel each (channels may be shared).
pub struct GrpcPartitions {
    clients: Vec<IngestClient<Channel>>,
    deadline: Duration,
}

impl GrpcPartitions {
    /// `channels[n]` leads to the ingester that hosts partition `n`. A call
    /// that takes longer than `deadline` is given up, also by the server.
    pub fn new(channels: Vec<Channel>, deadline: Duration, max_message: usize) -> Self {
        let client = |channel| {
            IngestClient::new(channel)
                .max_encoding_message_size(max_message)
                .max_decoding_message_size(max_message)
        };
        Self { clients: channels.into_iter().map(client).collect(), deadline }
    }
}

#[async_trait]
impl Partitions for GrpcPartitions {
    fn count(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    async fn append(
        &self,
        partition: u32,
        request: AppendRequest,
    ) -> Result<AppendResponse, Status> {
        let client = self.clients.get(partition as usize);
        let missing = || Status::not_found(format!("partition {partition} has no address"));
        let mut client = client.ok_or_else(missing)?.clone();
        let mut request = Request::new(request);
        request.set_timeout(self.deadline);
        Ok(client.append(request).await?.into_inner())
    }
}
