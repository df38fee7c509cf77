//! Streaming recent series with samples: one snapshot of every partition, then
//! frames of bounded size, never further ahead of the reader than one channel.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tonic::Status;
use varve_head::HeadRead;
use varve_query::frames::FrameBuilder;
use varve_query::stream::{Frames, channel};
use varve_wire::{convert, v1};

use crate::error::{IngesterError, Result};
use crate::scope::blocking;
use crate::start::Ingester;

impl Ingester {
    pub(crate) async fn run_select(
        &self,
        request: v1::SelectRequest,
    ) -> Result<Frames<v1::SelectFrame>> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        // Until the last frame is taken or the reader is gone.
        let permit = Arc::clone(&self.selects).acquire_owned().await;
        let permit = permit.map_err(|_| IngesterError::CutOff("a select"))?;
        let reads: Vec<HeadRead> = blocking("a select", move || {
            let select =
                |p: &Arc<varve_head::Partition>| p.select(&scope.tenant, &matchers, scope.range);
            Ok(scope.partitions.iter().map(select).collect())
        })
        .await?;
        let (send, end, receive) = channel();
        let series_sent = self.metrics.series_sent.clone();
        varve_runtime::spawn_blocking(move || {
            let _permit = permit;
            let released_at = reads.iter().map(|read| read.released_at).max().unwrap_or(0);
            let mut frames = FrameBuilder::new(released_at);
            for series in reads.into_iter().flatten() {
                let series = match series {
                    Ok(series) => series,
                    Err(error) => {
                        put(&send, Err(IngesterError::from(error).into()));
                        return;
                    }
                };
                series_sent.inc();
                // A reader that went away ends the work, at the latest here.
                let gone = match frames.push(series) {
                    Some(frame) => !put(&send, Ok(frame)),
                    None => send.is_closed(),
                };
                if gone {
                    return;
                }
            }
            if let Some(frame) = frames.finish() {
                put(&send, Ok(frame));
            }
            end.finish();
        });
        Ok(receive)
    }
}

/// Gives the reader a frame or the error that ends the read; `false` when the
/// reader has gone away. Waits only while there is no room.
fn put<T>(
    send: &mpsc::Sender<std::result::Result<T, Status>>,
    frame: std::result::Result<T, Status>,
) -> bool {
    match send.try_send(frame) {
        Ok(()) => true,
        Err(TrySendError::Full(frame)) => send.blocking_send(frame).is_ok(),
        Err(TrySendError::Closed(_)) => false,
    }
}
