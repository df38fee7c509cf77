//! The floor: the highest version that has been collected.
//!
//! Each raise is an object of its own, numbered without gaps and never
//! deleted: the highest number is found by probing, from any number that is
//! known, and a committer that slept however long still finds it (C-3).

use bytes::Bytes;
use ulid::Ulid;
use varve_model::TenantId;

use super::error::Result;
use super::format::{self, FORMAT, FloorObject};
use crate::bucket::PutOutcome;
use crate::{Bucket, paths};

/// The most bytes a floor object may have.
const MAX_FLOOR_BYTES: u64 = 4096;

/// How far a tenant's old versions have been collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// How often it was raised.
    pub sequence: u64,
    /// Versions up to this one are collected; 0 = none.
    pub version: u64,
    /// A version that was there when it was raised.
    pub seen: u64,
    /// When it was raised, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// The floor now, given one that was read before.
pub(crate) async fn read(bucket: &Bucket, tenant: &TenantId, known: Floor) -> Result<Floor> {
    // Sequences have no gaps: double the step until one is missing, then halve
    // the distance. In steady state this is one request.
    let mut low = known;
    let mut high = None;
    let mut step = 1;
    loop {
        let next = match high {
            None => low.sequence + step,
            Some(high) if high - low.sequence > 1 => low.sequence + (high - low.sequence) / 2,
            Some(_) => return Ok(low),
        };
        match get(bucket, tenant, next).await? {
            Some(floor) => low = floor,
            None => high = Some(next),
        }
        step *= 2;
    }
}

async fn get(bucket: &Bucket, tenant: &TenantId, sequence: u64) -> Result<Option<Floor>> {
    let path = paths::floor(tenant, sequence);
    match bucket.get(&path, MAX_FLOOR_BYTES).await {
        Ok(bytes) => {
            let FloorObject { version, seen, created_ms, .. } = format::decode(&path, &bytes)?;
            Ok(Some(Floor { sequence, version, seen, created_ms }))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The floor now, when only a sequence number is known that has been used.
pub(crate) async fn read_from(bucket: &Bucket, tenant: &TenantId, sequence: u64) -> Result<Floor> {
    // Read the named one too: the caller knows its number but not its version.
    // A number that was never used (a hint of a bucket since restored) is
    // treated as if nothing were known.
    let before = Floor { sequence: sequence.saturating_sub(1), ..Floor::default() };
    let found = read(bucket, tenant, before).await?;
    if found.version == 0 && before.sequence > 0 {
        return read(bucket, tenant, Floor::default()).await;
    }
    Ok(found)
}

/// Creates the floor object of `raised`, whose sequence follows the last one
/// known. `false` when somebody else has raised the floor since.
pub(crate) async fn raise(
    bucket: &Bucket,
    tenant: &TenantId,
    raised: Floor,
    token: Ulid,
) -> Result<bool> {
    let Floor { sequence, version, seen, created_ms } = raised;
    let object =
        FloorObject { format: FORMAT, version, seen, token: token.to_string(), created_ms };
    let bytes: Bytes = format::encode(&object)?;
    let outcome = bucket.put_if_absent(&paths::floor(tenant, sequence), bytes).await?;
    Ok(outcome == PutOutcome::Created)
}
