//! `STREAMED_XOR_CHUNKS`: frames of one series each, sorted by labels, as
//! they are read. A series with more than about a mebibyte of chunks takes
//! several.
//!
//! A task makes the frames, a few ahead of the client. Once the first query
//! has been read the status is sent; what fails then ends the connection, so
//! that nobody takes a part for the whole.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use varve_model::{ErrorKind, Labels, Series, TenantId};
use varve_promql::source::{Charge, MemoryBudget};
use varve_wire::prompb::v1;
use varve_wire::remote_read::{ReadQuery, put_frame};

use super::buffer::over;
use crate::querier::{QueryError, ReadLimits, SeriesStream};
use crate::reply::ApiError;
use crate::routes::QueryState;

pub(super) const STREAMED: &str =
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Frames that may wait for the client.
const FRAMES_AHEAD: usize = 2;

/// A frame with its memory.
type Frame = Result<(Bytes, Charge), QueryError>;

pub(super) async fn answer(
    state: &QueryState,
    tenant: TenantId,
    queries: Vec<ReadQuery>,
) -> Result<Response, ApiError> {
    let querier = Arc::clone(&state.querier);
    let limits = querier.read_limits();
    let (send, receive) = mpsc::channel::<Frame>(FRAMES_AHEAD);
    let mut frames = Frames { send, limits };
    let mut queries = (0_i64..).zip(queries);
    if let Some((index, query)) = queries.next() {
        let first = querier.read(tenant.clone(), query.matchers, query.range).await?;
        tokio::spawn(async move {
            let all = async {
                frames.send_all(index, first).await?;
                for (index, query) in queries {
                    let series = querier.read(tenant.clone(), query.matchers, query.range);
                    frames.send_all(index, series.await.map_err(Stop::Failed)?).await?;
                }
                Ok::<(), Stop>(())
            };
            if let Err(Stop::Failed(e)) = all.await {
                tracing::warn!(error = %e, "a streamed remote read ends early");
                frames.put(Err(e)).await.unwrap_or(());
            }
        });
    }
    let body = stream::unfold(receive, |mut receive| async move {
        // The charge ends here: what follows is the connection's.
        let frame = receive.recv().await?.map(|(bytes, _charge)| bytes);
        Some((frame.map_err(std::io::Error::other), receive))
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(STREAMED));
    Ok(response)
}

/// Why no more frames are made.
enum Stop {
    /// The client has gone, or takes nothing any more.
    Gone,
    /// The rest cannot be read.
    Failed(QueryError),
}

/// Where frames go.
struct Frames {
    send: mpsc::Sender<Frame>,
    limits: ReadLimits,
}

impl Frames {
    async fn put(&self, frame: Frame) -> Result<(), Stop> {
        let stalled: Duration = self.limits.stalled;
        match tokio::time::timeout(stalled, self.send.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Gone),
            Err(_) => {
                let text =
                    format!("the client took nothing for {stalled:?} (setting querier.timeout)");
                Err(Stop::Failed(QueryError::new(ErrorKind::Timeout, text)))
            }
        }
    }

    async fn send_all(&mut self, query: i64, mut series: SeriesStream) -> Result<(), Stop> {
        while let Some(batch) = series.batches.next().await {
            for one in &batch.map_err(Stop::Failed)?.series {
                self.send_series(query, one, &series.budget).await?;
            }
        }
        Ok(())
    }

    /// Sends one series, a frame whenever there are bytes enough.
    async fn send_series(
        &mut self,
        query_index: i64,
        series: &Series,
        budget: &Arc<dyn MemoryBudget>,
    ) -> Result<(), Stop> {
        let room = self.limits.frame_bytes.saturating_sub(series.labels.memory());
        let mut chunks = varve_tsdb::chunks(&series.floats, &series.histograms).peekable();
        let (mut held, mut bytes) = (Vec::new(), 0);
        while let Some(chunk) = chunks.next() {
            let chunk = chunk.map_err(|e| {
                Stop::Failed(QueryError::new(ErrorKind::Corrupt, format!("{}: {e}", series.labels)))
            })?;
            bytes += chunk.data.len() + CHUNK_OVERHEAD;
            held.push(v1::Chunk {
                min_time_ms: chunk.min_time,
                max_time_ms: chunk.max_time,
                r#type: chunk.encoding as i32,
                data: chunk.data,
            });
            if bytes < room && chunks.peek().is_some() {
                continue;
            }
            // The message, its bytes, and the frame around them.
            let size = 2 * bytes + series.labels.memory() + FRAME_OVERHEAD;
            let charge = Charge::take(budget, size).map_err(|e| Stop::Failed(over(e)))?;
            let frame = frame(query_index, &series.labels, std::mem::take(&mut held));
            bytes = 0;
            self.put(Ok((frame, charge))).await?;
        }
        Ok(())
    }
}

/// Bytes of a chunk besides its data, at most.
const CHUNK_OVERHEAD: usize = 32;
/// Bytes of a frame besides its labels and chunks, about.
const FRAME_OVERHEAD: usize = 64;

fn frame(query_index: i64, labels: &Labels, chunks: Vec<v1::Chunk>) -> Bytes {
    let label = |(n, v): (&str, &str)| v1::Label { name: n.to_owned(), value: v.to_owned() };
    let labels = labels.iter().map(label).collect();
    let chunked_series = vec![v1::ChunkedSeries { labels, chunks }];
    let mut out = Vec::new();
    put_frame(&v1::ChunkedReadResponse { chunked_series, query_index }, &mut out);
    out.into()
}
