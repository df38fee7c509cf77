//! `SAMPLES`: one message with all samples, compressed as a whole.
//!
//! It is built series by series, and every copy of it is charged to the
//! query's budget.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use varve_model::{ErrorKind, TenantId};
use varve_promql::source::{Charge, MemoryBudget};
use varve_wire::remote_read::{self, ReadQuery, Samples};

use super::buffer::{Buffer, over};
use crate::querier::{QueryError, SeriesStream};
use crate::reply::ApiError;
use crate::routes::QueryState;

/// An answer goes to its client in pieces of so many bytes.
const PIECE: usize = 64 << 10;

pub(super) async fn answer(
    state: &QueryState,
    tenant: TenantId,
    queries: Vec<ReadQuery>,
) -> Result<Response, ApiError> {
    let limit = state.querier.read_limits().max_samples;
    let mut all: Option<(Buffer, Arc<dyn MemoryBudget>)> = None;
    for query in queries {
        let read = state.querier.read(tenant.clone(), query.matchers, query.range);
        let series = read.await?;
        let budget = Arc::clone(&series.budget);
        let result = result(series, limit).await?;
        let (response, _) = match &mut all {
            Some(all) => all,
            None => all.insert((Buffer::new(&budget)?, budget)),
        };
        response.room(result.bytes.len() + remote_read::MAX_HEADER)?;
        remote_read::put_result(&result.bytes, &mut response.bytes);
    }
    let body = match all {
        Some((plain, budget)) => compressed(plain, &budget).await?,
        // A snappy block of no bytes.
        None => Body::from(vec![0_u8]),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(response)
}

/// The bytes of one `QueryResult`.
async fn result(mut series: SeriesStream, limit: u64) -> Result<Buffer, ApiError> {
    let mut out = Buffer::new(&series.budget)?;
    let mut samples = 0;
    while let Some(batch) = series.batches.next().await {
        for one in &batch?.series {
            samples += one.len() as u64;
            if samples > limit {
                return Err(ApiError::bad_data(format!(
                    "exceeded sample limit ({limit}) (setting querier.remote_read_max_samples)"
                )));
            }
            // The message is a copy.
            let _copy = Charge::take(&series.budget, one.memory()).map_err(over)?;
            let message = Samples::new(one);
            out.room(message.max_len())?;
            message.put(&mut out.bytes);
        }
    }
    Ok(out)
}

async fn compressed(plain: Buffer, budget: &Arc<dyn MemoryBudget>) -> Result<Body, ApiError> {
    let most = remote_read::max_compressed_len(plain.bytes.len());
    let charge = Charge::take(budget, most).map_err(over)?;
    let bytes = varve_runtime::spawn_blocking(move || {
        let (plain, _charge) = plain.into_parts();
        remote_read::compress(&plain)
    });
    let failed = |what: String| QueryError::new(ErrorKind::Internal, format!("compress: {what}"));
    let bytes = bytes.await.map_err(|e| failed(e.to_string()))?;
    let bytes = Bytes::from(bytes.map_err(|e| failed(e.to_string()))?);
    let pieces = stream::unfold((bytes, charge), |(mut rest, charge)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), (rest, charge)))
    });
    Ok(Body::from_stream(pieces))
}
