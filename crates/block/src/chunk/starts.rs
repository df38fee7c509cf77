//! The column of start timestamps: as they are, or as the distance back from
//! the sample's own time or from the time of the sample before it.
//!
//! A start of 0 means none; runs of those are held apart, so that they do not
//! disturb the rest. A column in which no sample has one takes no bytes.

use super::bits::{Cursor, opening, put_varint};
use super::kernels::Kernels;
use super::{ChunkError, MAX_CHUNK_SAMPLES, check_len, ints, kind_error, runs};

/// Cumulative counters: one start for long.
const ABSOLUTE: u8 = 0;
/// Intervals of one length: the distance from the sample's own time.
const FROM_OWN: u8 = 1;
/// Intervals without gaps: the distance from the time before.
const FROM_LAST: u8 = 2;
/// Some samples have none.
const SOME_NONE: u8 = 8;

/// Appends the start timestamps of samples at `times`; nothing if `starts` is empty.
///
/// # Panics
///
/// If `starts` is neither empty nor as long as `times`, or longer than
/// [`MAX_CHUNK_SAMPLES`].
pub fn encode_starts(starts: &[i64], times: &[i64], out: &mut Vec<u8>) {
    if starts.is_empty() {
        return;
    }
    assert_eq!(starts.len(), times.len(), "there is a start for each time");
    check_len(starts.len());
    let mut none = Vec::new();
    for (i, _) in starts.iter().enumerate().filter(|(_, s)| **s == 0) {
        runs::push(&mut none, i, 0);
    }
    let mut best: Option<(u8, Vec<u8>)> = None;
    for kind in [ABSOLUTE, FROM_LAST, FROM_OWN] {
        let mut bytes = Vec::new();
        ints::encode(&differences(kind, starts, times), &mut bytes);
        if best.as_ref().is_none_or(|(_, b)| bytes.len() < b.len()) {
            best = Some((kind, bytes));
        }
    }
    let (kind, bytes) = best.expect("three kinds were tried");
    out.push(opening(if none.is_empty() { kind } else { kind | SOME_NONE }));
    put_varint(out, starts.len() as u64);
    out.extend(bytes);
    if !none.is_empty() {
        runs::encode(&none, out, |_, _| {});
    }
}

/// What the starts are measured from: the time at `i` of the given kind.
fn origin(kind: u8, times: &[i64], i: usize) -> i64 {
    match kind {
        FROM_OWN => times[i],
        FROM_LAST => times[i.saturating_sub(1)],
        _ => 0,
    }
}

/// The integers to store; where there is no start, the one before again.
fn differences(kind: u8, starts: &[i64], times: &[i64]) -> Vec<i64> {
    let difference = |i: usize| starts[i].wrapping_sub(origin(kind, times, i));
    let first = starts.iter().position(|s| *s != 0).map_or(0, difference);
    let mut last = first;
    let each = |(i, start): (usize, &i64)| {
        if *start != 0 {
            last = difference(i);
        }
        last
    };
    starts.iter().enumerate().map(each).collect()
}

/// Appends the start timestamps of samples at `times` to `out`; nothing if
/// `bytes` is empty. After an error `out` may hold some of them.
pub fn decode_starts(bytes: &[u8], times: &[i64], out: &mut Vec<i64>) -> Result<(), ChunkError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut from = Cursor::new(bytes);
    let opening = from.opening()?;
    let kind = opening & !SOME_NONE;
    if kind > FROM_LAST {
        return Err(kind_error("kind of starts", opening));
    }
    let found = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    if found != times.len() {
        return Err(ChunkError::Count { found, expected: times.len() });
    }
    let base = out.len();
    out.reserve(found);
    ints::decode(Kernels::best(), &mut from, found, out)?;
    let starts = &mut out[base..];
    if kind != ABSOLUTE {
        for (i, start) in starts.iter_mut().enumerate() {
            *start = start.wrapping_add(origin(kind, times, i));
        }
    }
    if opening & SOME_NONE != 0 {
        runs::decode(
            &mut from,
            found,
            |_| Ok(0),
            |run| {
                starts[run.start..run.start + run.len].fill(0);
            },
        )?;
    }
    from.finish()
}
