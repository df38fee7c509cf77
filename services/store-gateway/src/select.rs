//! Streaming series with samples: several blocks at once, frames of bounded
//! size, never further ahead of the reader than one channel holds.

use futures::StreamExt;
use tonic::Status;
use varve_query::frames::FrameBuilder;
use varve_query::stream::{Frames, channel};
use varve_wire::v1;

use crate::Gateway;
use crate::scope::{from_block, read_matchers};

impl Gateway {
    pub(crate) fn run_select(
        &self,
        request: v1::SelectRequest,
    ) -> Result<Frames<v1::SelectFrame>, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let (send, end, receive) = channel();
        let (metrics, in_flight) = (self.metrics.clone(), self.blocks_in_flight);
        tokio::spawn(async move {
            let range = scope.range;
            let streams = scope.readers.into_iter().map(|r| r.select(matchers.clone(), range));
            let mut batches = futures::stream::iter(streams).flatten_unordered(in_flight);
            let mut frames = FrameBuilder::new(0);
            while let Some(batch) = batches.next().await {
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(e) => {
                        let _ = send.send(Err(from_block(e))).await;
                        return;
                    }
                };
                for series in batch {
                    metrics.series.inc();
                    // A reader that went away ends the work.
                    if let Some(frame) = frames.push(series)
                        && send.send(Ok(frame)).await.is_err()
                    {
                        return;
                    }
                }
            }
            if let Some(frame) = frames.finish() {
                let _ = send.send(Ok(frame)).await;
            }
            end.finish();
        });
        Ok(receive)
    }
}
