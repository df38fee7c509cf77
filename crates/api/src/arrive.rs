//! The body of a write as it arrives: every byte finds room first, so that
//! many large bodies at once are refused with 503 and not kept.

use std::time::Duration;

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;

use crate::reply::ApiError;
use crate::writer::{RequestRoom, WriteReply};

/// How long a body may take to arrive. What has come of it holds room.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How long what is refused is read on, to no end but that senders which
/// look for the answer only after their last byte find it.
const DRAIN: Duration = Duration::from_secs(2);

/// Reads a body of at most `limit` bytes. A refusal by `room` is the inner
/// error.
///
/// # Errors
/// When the body is longer than `limit` (setting `server.max_write_body`) or
/// breaks off.
pub(crate) async fn arrive(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    room: &mut dyn RequestRoom,
) -> Result<Result<Bytes, WriteReply>, ApiError> {
    let too_large = || ApiError::too_large(limit, " (server.max_write_body)");
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|n| n > limit as u64) {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|e| ApiError::bad_data(format!("error reading the request body: {e}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(too_large());
            }
            if let Err(refused) = room.grow(data.len() as u64) {
                return Ok(Err(refused));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Ok(bytes.freeze()))
    };
    let late = || WriteReply {
        status: 503,
        message: format!("the request body did not arrive within {} s", ARRIVAL.as_secs()),
        retry_after: Some(Duration::from_secs(1)),
        ..WriteReply::default()
    };
    let read = tokio::time::timeout(ARRIVAL, reading).await.unwrap_or_else(|_| Ok(Err(late())));
    if matches!(read, Ok(Err(_))) {
        drain(body, limit).await;
    }
    read
}

/// Reads on and keeps nothing.
async fn drain(mut body: Body, limit: usize) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > limit {
                break;
            }
        }
    };
    // A sender that is slower meets a closed connection, and tries again.
    let _ = tokio::time::timeout(DRAIN, reading).await;
}
