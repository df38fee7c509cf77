//! Exceptions: runs of samples that hold something else than the column says.
//!
//! A list is the number of runs, then for each the gap since the end of the
//! one before, its length less one, and a payload that the caller knows.

use super::ChunkError;
use super::bits::{Cursor, put_varint};

/// Samples `start..start + len` hold `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) value: u64,
}

/// Notes that sample `at` holds `value`; `at` grows from call to call.
pub(super) fn push(runs: &mut Vec<Run>, at: usize, value: u64) {
    match runs.last_mut() {
        Some(last) if last.value == value && last.start + last.len == at => last.len += 1,
        _ => runs.push(Run { start: at, len: 1, value }),
    }
}

/// Appends a list; `payload` appends a run's value.
pub(super) fn encode(runs: &[Run], out: &mut Vec<u8>, payload: impl Fn(&mut Vec<u8>, u64)) {
    put_varint(out, runs.len() as u64);
    let mut end = 0;
    for run in runs {
        put_varint(out, (run.start - end) as u64);
        put_varint(out, (run.len - 1) as u64);
        payload(out, run.value);
        end = run.start + run.len;
    }
}

/// Reads a list over `count` samples and hands on each run, in order.
pub(super) fn decode(
    from: &mut Cursor<'_>,
    count: usize,
    payload: impl Fn(&mut Cursor<'_>) -> Result<u64, ChunkError>,
    mut sink: impl FnMut(Run),
) -> Result<(), ChunkError> {
    let runs = from.count("exceptions", count)?;
    let mut end = 0;
    for _ in 0..runs {
        let start = end + from.count("gap between exceptions", count - end)?;
        let len = from.count("length of an exception", count - start)? + 1;
        if len > count - start {
            return Err(ChunkError::Field { field: "length of an exception", value: len as u64 });
        }
        sink(Run { start, len, value: payload(from)? });
        end = start + len;
    }
    Ok(())
}
