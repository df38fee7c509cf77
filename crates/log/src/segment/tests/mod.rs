//! Tests of the segment log through its public interface: the contract of
//! [`PartitionLog`], crashes at any point, damage, and arbitrary bytes.

mod contract;
mod damage;
mod fuzz;
mod simulation;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Disk, Entry, EntryKind, LogError, LogEvent, PartitionLog, SegmentLog, SegmentLogConfig,
};

/// Small segments, so that a few entries fill one.
fn small() -> SegmentLogConfig {
    SegmentLogConfig {
        segment_bytes: 32 << 10,
        spare_segments: 2,
        tail_bytes: 1 << 10,
        ..SegmentLogConfig::default()
    }
}

fn dir() -> &'static Path {
    Path::new("/data/log")
}

fn open(disk: &(impl Disk + Clone)) -> Result<Arc<SegmentLog>, LogError> {
    SegmentLog::open(Arc::new(disk.clone()), dir(), small())
}

/// Everything durable from `from` on.
async fn read(log: &dyn PartitionLog, from: u64) -> Result<Vec<Entry>, LogError> {
    let mut events = log.subscribe(from);
    let mut entries = Vec::new();
    while let Some(event) = events.recv().await {
        match event {
            LogEvent::Entry(entry) => entries.push(entry),
            LogEvent::CaughtUp => return Ok(entries),
            LogEvent::Failed(error) => return Err(error),
        }
    }
    panic!("the subscription ended without an event")
}

async fn append(log: &dyn PartitionLog, bytes: &[u8]) -> Result<u64, LogError> {
    let position = log.append(EntryKind::Batch, Bytes::copy_from_slice(bytes)).await?;
    assert_eq!(position.term, 1);
    Ok(position.index)
}
