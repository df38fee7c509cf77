//! Streaming series with samples, in parts of bounded size.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tonic::Status;
use varve_block::BlockReader;
use varve_model::{Matcher, TimeRange};
use varve_query::near::{PartBuilder, SelectPart};
use varve_query::stream::Frames;
use varve_wire::v1;

use crate::Gateway;
use crate::metrics::Metrics;
use crate::scope::{from_block, read_matchers};
use crate::side_by_side::{Sender, Stop, put, side_by_side};

/// What all blocks of a request share.
struct Asked {
    matchers: Vec<Matcher>,
    range: TimeRange,
    metrics: Metrics,
}

impl Gateway {
    pub(crate) fn run_select(
        &self,
        request: v1::SelectRequest,
    ) -> Result<Frames<SelectPart>, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let (range, metrics) = (scope.range, self.metrics.clone());
        let asked = Arc::new(Asked { matchers, range, metrics });
        let work = move |reader, send| one(reader, send, Arc::clone(&asked));
        Ok(side_by_side(scope.readers, self.blocks_in_flight, work))
    }
}

/// Sends the series of one block.
async fn one(reader: BlockReader, send: Sender<SelectPart>, asked: Arc<Asked>) -> Result<(), Stop> {
    let mut batches = reader.select(asked.matchers.clone(), asked.range).map_err(from_block);
    let mut parts = PartBuilder::new(0);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Stop::Failed)?;
        asked.metrics.series.inc_by(batch.len() as u64);
        for series in batch {
            // A reader that went away ends the work.
            if let Some(part) = parts.push(series) {
                put(&send, part).await?;
            }
        }
    }
    match parts.finish() {
        Some(part) => put(&send, part).await,
        None => Ok(()),
    }
}
