//! Frames into histograms.

use std::sync::Arc;

use varve_model::{Counts, Histogram, ResetHint};

use super::columns::Columns;
use super::layout::{Layout, Uses};
use super::{MAX_CELLS, MAX_FRAME};
use crate::chunk::bits::Cursor;
use crate::chunk::kernels::Kernels;
use crate::chunk::{ChunkError, MAX_CHUNK_SAMPLES, floats, ints, kind_error, runs};

/// Appends the histograms of a column to `out`. Hints are `Unknown` for the
/// first and wherever the encoder could not tell, else what it found. After
/// an error `out` may hold some of them.
pub fn decode_histograms(bytes: &[u8], out: &mut Vec<Arc<Histogram>>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    let kind = from.opening()?;
    if kind != 0 {
        return Err(kind_error("kind of histograms", kind));
    }
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    let mut left = count;
    while left > 0 {
        let frame = from.count("frame", left.min(MAX_FRAME))?;
        if frame == 0 {
            return Err(ChunkError::Field { field: "frame", value: 0 });
        }
        decode_frame(&mut from, frame, left == count, out)?;
        left -= frame;
    }
    from.finish()
}

fn decode_frame(
    from: &mut Cursor<'_>,
    count: usize,
    first: bool,
    out: &mut Vec<Arc<Histogram>>,
) -> Result<(), ChunkError> {
    // The counts and bounds of a lone histogram take bytes of their own.
    let limit = if count == 1 { MAX_CELLS + from.len() } else { MAX_CELLS };
    let (layouts, used) = layouts(from, count, limit)?;
    let mut hints = vec![ResetHint::NotCounterReset; count];
    if first {
        hints[0] = ResetHint::Unknown;
    }
    runs::decode(from, count, hint, |run| {
        let hint = if run.value == 0 { ResetHint::Unknown } else { ResetHint::CounterReset };
        hints[run.start..run.start + run.len].fill(hint);
    })?;
    let sums = floats::decode_inner(from, count)?;

    let columns = Columns::of(&layouts);
    let mut lens = vec![0usize; columns.float.len()];
    let (mut of_ints, mut of_floats) = (0, 0);
    for &(number, len) in &used {
        *(if layouts[number].float { &mut of_floats } else { &mut of_ints }) += len;
        let slots = &columns.slots[number];
        for slot in slots.positive.iter().chain(&slots.negative) {
            lens[*slot as usize] += len;
        }
    }
    let mut counts = Numbers::decode(from, of_ints, of_floats)?;
    let mut zeros = Numbers::decode(from, of_ints, of_floats)?;
    let mut buckets = Vec::with_capacity(lens.len());
    for (float, len) in columns.float.iter().zip(lens) {
        let (ints, floats) = if *float { (0, len) } else { (len, 0) };
        buckets.push(Numbers::decode(from, ints, floats)?);
    }

    out.reserve(count);
    let layout_of = used.iter().flat_map(|&(layout, len)| std::iter::repeat_n(layout, len));
    for ((number, sum), hint) in layout_of.zip(sums).zip(hints) {
        let (layout, slots) = (&layouts[number], &columns.slots[number]);
        let counts = if layout.float {
            let mut side = |slots: &[u32]| -> Vec<f64> {
                slots.iter().map(|s| buckets[*s as usize].float()).collect()
            };
            let (positive, negative) = (side(&slots.positive), side(&slots.negative));
            Counts::Float { count: counts.float(), zero: zeros.float(), positive, negative }
        } else {
            let mut side = |slots: &[u32]| -> Vec<u64> {
                slots.iter().map(|s| buckets[*s as usize].int()).collect()
            };
            let (positive, negative) = (side(&slots.positive), side(&slots.negative));
            let zero = zeros.int();
            let all = positive.iter().chain(&negative).fold(zero, |a, b| a.wrapping_add(*b));
            Counts::Int { count: counts.int().wrapping_add(all), zero, positive, negative }
        };
        out.push(Arc::new(Histogram {
            schema: layout.schema,
            zero_threshold: f64::from_bits(layout.threshold),
            sum,
            reset_hint: if layout.gauge { ResetHint::Gauge } else { hint },
            positive_spans: layout.positive.spans.clone(),
            negative_spans: layout.negative.spans.clone(),
            custom_bounds: layout.bounds.iter().map(|b| f64::from_bits(*b)).collect(),
            counts,
        }));
    }
    Ok(())
}

/// Reads the table of layouts and the runs of (layout, length), and checks
/// that what they claim stays within `limit` cells.
fn layouts(
    from: &mut Cursor<'_>,
    count: usize,
    limit: usize,
) -> Result<(Vec<Layout>, Uses), ChunkError> {
    let number = from.count("layouts", count)?;
    let mut layouts = Vec::new();
    let mut left = limit;
    for _ in 0..number {
        let layout = Layout::decode(from, left)?;
        left -= layout.cells();
        layouts.push(layout);
    }
    let mut used = Uses::new();
    let (mut samples, mut cells) = (count, 0usize);
    while samples > 0 {
        let layout = from.varint("layout number")?;
        let Some(found) = usize::try_from(layout).ok().and_then(|i| layouts.get(i)) else {
            return Err(ChunkError::Field { field: "layout number", value: layout });
        };
        let len = from.count("length of a layout's run", samples)?;
        if len == 0 {
            return Err(ChunkError::Field { field: "length of a layout's run", value: 0 });
        }
        samples -= len;
        cells = cells.saturating_add(found.cells().saturating_mul(len));
        used.push((layout as usize, len));
    }
    if cells > limit {
        return Err(ChunkError::TooMany { claimed: cells as u64, limit: limit as u64 });
    }
    Ok((layouts, used))
}

/// Reads a hint that is not taken for granted.
fn hint(from: &mut Cursor<'_>) -> Result<u64, ChunkError> {
    match from.byte("reset hint")? {
        hint if hint == ResetHint::Unknown as u8 || hint == ResetHint::CounterReset as u8 => {
            Ok(hint.into())
        }
        hint => Err(kind_error("reset hint", hint)),
    }
}

/// The numbers of a column, taken one by one.
struct Numbers {
    ints: std::vec::IntoIter<i64>,
    floats: std::vec::IntoIter<f64>,
}

impl Numbers {
    fn decode(from: &mut Cursor<'_>, ints: usize, floats: usize) -> Result<Self, ChunkError> {
        let ints = ints::decode_vec(Kernels::best(), from, ints)?.into_iter();
        let floats =
            if floats == 0 { Vec::new() } else { floats::decode_inner(from, floats)? }.into_iter();
        Ok(Self { ints, floats })
    }

    fn int(&mut self) -> u64 {
        self.ints.next().expect("a column is as long as its layouts are used") as u64
    }

    fn float(&mut self) -> f64 {
        self.floats.next().expect("a column is as long as its layouts are used")
    }
}
