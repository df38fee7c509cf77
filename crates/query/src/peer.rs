//! One of those that hold series, near or far.

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use varve_wire::v1;
use varve_wire::v1::store_client::StoreClient;

use crate::QueryError;
use crate::frames::read_frame;
use crate::near::{Near, SelectPart};

/// Whom a question goes to.
pub(crate) struct Peer {
    /// Its calls.
    pub client: StoreClient<Channel>,
    /// What it holds, when that is in this process.
    pub near: Option<Arc<dyn Near>>,
}

impl Peer {
    /// Streams the answer to a select.
    pub(crate) async fn select(
        mut self,
        request: v1::SelectRequest,
    ) -> Result<BoxStream<'static, Result<SelectPart, QueryError>>, QueryError> {
        let failed = |s: Status| QueryError::from_status("select", &s);
        if let Some(near) = self.near {
            let parts = near.select(request).await.map_err(failed)?;
            return Ok(ReceiverStream::new(parts).map_err(failed).boxed());
        }
        let frames = self.client.select(request).await.map_err(failed)?.into_inner();
        let parts = frames.map(move |frame| read_frame(frame.map_err(failed)?));
        Ok(parts.boxed())
    }
}
