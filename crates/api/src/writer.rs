//! What the write routes ask of a distributor.
//!
//! The HTTP side checks tenant, size and protocol; decoding and everything
//! after it is the writer's. Next: `varve-distributor` implements this.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use varve_model::TenantId;

/// Which remote-write message the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `prometheus.WriteRequest` (remote write 1.0).
    V1,
    /// `io.prometheus.write.v2.Request` (remote write 2.0).
    V2,
}

/// One remote-write request, as it came.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Which message it is.
    pub protocol: Protocol,
    /// The body, still compressed as one snappy block.
    pub body: Bytes,
}

/// What a sender is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReply {
    /// The HTTP status: 2xx all is durable; 400 something was refused for
    /// good (the rest is durable); 429 the tenant's rate limit; 503 retry.
    pub status: u16,
    /// For people; empty on success.
    pub message: String,
    /// Float samples that are durable.
    pub samples: u64,
    /// Histogram samples that are durable.
    pub histograms: u64,
    /// Exemplars that are durable.
    pub exemplars: u64,
    /// When to try again, with 429 and 503.
    pub retry_after: Option<Duration>,
}

/// Room for one request while it arrives and is worked on; given back when it
/// is dropped.
pub trait RequestRoom: Send {
    /// Takes room for so many bytes more.
    ///
    /// # Errors
    /// The answer to the sender when there is none now: 503 with `Retry-After`.
    fn grow(&mut self, bytes: u64) -> Result<(), WriteReply>;
}

/// Room without bound.
#[derive(Clone, Copy, Debug)]
pub struct Unbounded;

impl RequestRoom for Unbounded {
    fn grow(&mut self, _: u64) -> Result<(), WriteReply> {
        Ok(())
    }
}

/// Takes samples.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Room for a tenant's next request, asked for before its body is read.
    fn room(&self, tenant: &TenantId) -> Box<dyn RequestRoom>;

    /// Decodes and stores one request, for which `room` grows. What the reply
    /// counts as written is on disk when this returns.
    async fn write(
        &self,
        tenant: TenantId,
        request: WriteRequest,
        room: &mut dyn RequestRoom,
    ) -> WriteReply;
}
