//! Streaming recent series with samples: one snapshot of every partition, then
//! parts of bounded size, never further ahead of the reader than one channel.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tonic::Status;
use varve_query::near::{PartBuilder, SelectPart};
use varve_query::stream::{Frames, channel};
use varve_wire::{convert, v1};

use crate::error::{IngesterError, Result};
use crate::scope::blocking;
use crate::start::Ingester;

impl Ingester {
    pub(crate) async fn run_select(
        &self,
        request: v1::SelectRequest,
    ) -> Result<Frames<SelectPart>> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        // Until the last part is taken or the reader is gone.
        let permit = self.permit("a select").await?;
        let reads = blocking("a select", move || Ok(scope.select(&matchers))).await?;
        let (send, end, receive) = channel();
        let series_sent = self.metrics.series_sent.clone();
        varve_runtime::spawn_blocking(move || {
            let _permit = permit;
            let released_at = reads.iter().map(|read| read.released_at).max().unwrap_or(0);
            let mut parts = PartBuilder::new(released_at);
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
                let gone = match parts.push(series) {
                    Some(part) => !put(&send, Ok(part)),
                    None => send.is_closed(),
                };
                if gone {
                    return;
                }
            }
            if let Some(part) = parts.finish() {
                put(&send, Ok(part));
            }
            end.finish();
        });
        Ok(receive)
    }
}

/// Gives the reader a part or the error that ends the read; `false` when the
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
