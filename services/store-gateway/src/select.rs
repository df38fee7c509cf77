//! Streaming series with samples: several blocks at once, each on a task of its
//! own, frames of bounded size, never further ahead of the reader than one
//! channel holds.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;
use varve_block::BlockReader;
use varve_model::{Matcher, TimeRange};
use varve_query::frames::FrameBuilder;
use varve_query::stream::{Frames, channel};
use varve_wire::v1;

use crate::Gateway;
use crate::metrics::Metrics;
use crate::scope::{from_block, read_matchers};

/// What all blocks of a request share.
struct Asked {
    matchers: Vec<Matcher>,
    range: TimeRange,
    send: mpsc::Sender<Result<v1::SelectFrame, Status>>,
    metrics: Metrics,
}

/// Why a block's series are not all sent.
enum Stop {
    /// For this reason.
    Failed(Status),
    /// The reader went away.
    Gone,
}

impl Gateway {
    pub(crate) fn run_select(
        &self,
        request: v1::SelectRequest,
    ) -> Result<Frames<v1::SelectFrame>, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let (send, end, receive) = channel();
        let (range, metrics) = (scope.range, self.metrics.clone());
        let asked = Arc::new(Asked { matchers, range, send, metrics });
        let in_flight = self.blocks_in_flight;
        tokio::spawn(async move {
            // Dropped at the first failure, which ends the other blocks' tasks.
            let mut blocks = JoinSet::new();
            let mut readers = scope.readers.into_iter();
            for reader in readers.by_ref().take(in_flight) {
                blocks.spawn(one(reader, Arc::clone(&asked)));
            }
            while let Some(block) = blocks.join_next().await {
                match block {
                    Ok(Ok(())) => {}
                    Ok(Err(Stop::Failed(status))) => {
                        let _ = asked.send.send(Err(status)).await;
                        return;
                    }
                    // The end says that the read was cut off.
                    Ok(Err(Stop::Gone)) | Err(_) => return,
                }
                if let Some(reader) = readers.next() {
                    blocks.spawn(one(reader, Arc::clone(&asked)));
                }
            }
            end.finish();
        });
        Ok(receive)
    }
}

/// Sends the series of one block.
async fn one(reader: BlockReader, asked: Arc<Asked>) -> Result<(), Stop> {
    let mut batches = reader.select(asked.matchers.clone(), asked.range).map_err(from_block);
    let mut frames = FrameBuilder::new(0);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Stop::Failed)?;
        asked.metrics.series.inc_by(batch.len() as u64);
        for series in batch {
            // A reader that went away ends the work.
            if let Some(frame) = frames.push(series) {
                asked.send.send(Ok(frame)).await.map_err(|_| Stop::Gone)?;
            }
        }
    }
    if let Some(frame) = frames.finish() {
        asked.send.send(Ok(frame)).await.map_err(|_| Stop::Gone)?;
    }
    Ok(())
}
