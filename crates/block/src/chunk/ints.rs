//! The integer pipeline: a transform that leaves small residuals, a common
//! divisor taken out, and patched blocks of 128.
//!
//! A stream does not hold its length; who holds the stream knows it. All
//! arithmetic wraps, so that every `i64` round trips under every transform.
//! How a transform is chosen is in [`choose`].

use std::cell::RefCell;

use super::ChunkError;
use super::bits::{Cursor, put_signed, put_varint};
use super::block;
use super::choose::{self, Transform};
use super::pack::BLOCK;

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const DELTA: u8 = 2;
const DELTA2: u8 = 3;
const LINEAR: u8 = 4;
const KIND: u8 = 0b0_0111;
const UNIFORM: u8 = 0b0_1000;
const DIVISOR: u8 = 0b1_0000;

/// Appends a stream of integers; nothing if there are none.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some((&first, rest)) = values.split_first() else { return };
    // Offsets from the first value, divided by what they have in common.
    let mut offsets: Vec<i64> = rest.iter().map(|v| v.wrapping_sub(first)).collect();
    let divisor = if offsets.len() > 1 { choose::divisor(first, rest, &offsets) } else { 1 };
    if divisor > 1 {
        for offset in &mut offsets {
            *offset /= divisor;
        }
    }
    let transform = choose::transform(&offsets);
    let skip = transform.residuals(&mut offsets);
    let residuals = &offsets[skip..];
    let uniform = transform != Transform::Constant
        && residuals.first().is_none_or(|a| residuals.iter().all(|b| a == b));

    let mut head = transform.kind();
    if uniform {
        head |= UNIFORM;
    }
    if divisor > 1 {
        head |= DIVISOR;
    }
    out.push(head);
    put_signed(out, first);
    if divisor > 1 {
        put_varint(out, divisor as u64);
    }
    match transform {
        Transform::Constant => return,
        Transform::Delta2 { step } => put_signed(out, step),
        Transform::Linear { slope } => put_signed(out, slope),
        Transform::Plain | Transform::Delta => {}
    }
    if uniform {
        put_signed(out, residuals.first().copied().unwrap_or(0));
    } else {
        for residuals in residuals.chunks(BLOCK) {
            block::encode(residuals, out);
        }
    }
}

/// Reads a stream of `count` integers and appends to `out` what `map` makes of
/// each, in order.
pub(super) fn decode<T>(
    from: &mut Cursor<'_>,
    count: usize,
    out: &mut Vec<T>,
    map: impl Fn(i64) -> T + Copy,
) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    let mut stream = Stream::open(from)?;
    out.reserve(count);
    out.push(map(stream.first));
    let mut left = count - 1;
    if stream.kind == DELTA2 && left > 0 {
        out.push(map(stream.last));
        left -= 1;
    }
    if let (CONSTANT | PLAIN, Some(residual)) = (stream.kind, stream.uniform) {
        let value = residual.wrapping_mul(stream.divisor).wrapping_add(stream.first);
        out.extend(std::iter::repeat_with(|| map(value)).take(left));
        return Ok(());
    }
    RESIDUALS.with_borrow_mut(|residuals| {
        while left > 0 {
            let n = left.min(BLOCK);
            match stream.uniform {
                Some(residual) => residuals[..n].fill(residual),
                None => block::decode(from, n, stream.base, residuals)?,
            }
            stream.undo(&residuals[..n], out, map);
            left -= n;
        }
        Ok(())
    })
}

thread_local! {
    /// The block that is being decoded: to zero 1 KiB for each stream would
    /// cost a short one a tenth of its time.
    static RESIDUALS: RefCell<[i64; BLOCK]> = const { RefCell::new([0; BLOCK]) };
}

/// Reads a stream of `count` integers into a new vector.
pub(super) fn decode_vec(from: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let mut values = Vec::new();
    decode(from, count, &mut values, |i| i)?;
    Ok(values)
}

/// What stands before the blocks, and what undoing a transform carries from
/// one to the next. Where a divisor was taken out, residuals are multiplied
/// before they are summed up, so that `last` and `step` are of the values.
struct Stream {
    kind: u8,
    /// What all residuals are, where that stands in place of blocks.
    uniform: Option<i64>,
    first: i64,
    divisor: i64,
    /// What blocks add to their residuals.
    base: i64,
    /// How many offsets have been undone.
    index: i64,
    /// The last value.
    last: i64,
    /// The last difference of two values.
    step: i64,
    slope: i64,
}

impl Stream {
    fn open(from: &mut Cursor<'_>) -> Result<Self, ChunkError> {
        let head = from.byte("integer stream")?;
        if head & !(KIND | UNIFORM | DIVISOR) != 0 {
            return Err(ChunkError::Field { field: "integer stream kind", value: head.into() });
        }
        let (kind, first) = (head & KIND, from.signed("first integer")?);
        let divisor = if head & DIVISOR != 0 { from.varint("divisor")? as i64 } else { 1 };
        let (mut step, mut slope) = (0, 0);
        match kind {
            CONSTANT | PLAIN | DELTA => {}
            DELTA2 => step = from.signed("first step")?.wrapping_mul(divisor),
            LINEAR => slope = from.signed("slope")?,
            _ => {
                return Err(ChunkError::Field { field: "integer transform", value: kind.into() });
            }
        }
        let uniform = match kind {
            CONSTANT => Some(0),
            _ if head & UNIFORM != 0 => Some(from.signed("uniform residual")?),
            _ => None,
        };
        let base = if kind == PLAIN && divisor == 1 { first } else { 0 };
        let last = first.wrapping_add(step);
        Ok(Self { kind, uniform, first, divisor, base, index: 0, last, step, slope })
    }

    /// Appends what `map` makes of the next values. Each transform is one loop
    /// from residuals to what is wanted.
    #[inline]
    fn undo<T>(&mut self, residuals: &[i64], out: &mut Vec<T>, map: impl Fn(i64) -> T) {
        let Self { first, divisor, .. } = *self;
        match self.kind {
            PLAIN if divisor == 1 => {
                out.extend(residuals.iter().map(|r| map(*r)));
            }
            DELTA => {
                let mut last = self.last;
                if divisor == 1 {
                    out.extend(residuals.iter().map(|r| {
                        last = last.wrapping_add(*r);
                        map(last)
                    }));
                } else {
                    out.extend(residuals.iter().map(|r| {
                        last = last.wrapping_add(r.wrapping_mul(divisor));
                        map(last)
                    }));
                }
                self.last = last;
            }
            DELTA2 => {
                let (mut last, mut step) = (self.last, self.step);
                out.extend(residuals.iter().map(|r| {
                    step = step.wrapping_add(r.wrapping_mul(divisor));
                    last = last.wrapping_add(step);
                    map(last)
                }));
                (self.last, self.step) = (last, step);
            }
            LINEAR => {
                let (slope, start) = (self.slope, self.slope.wrapping_mul(self.index));
                let mut height = start;
                let line = residuals.iter().map(|r| {
                    height = height.wrapping_add(slope);
                    r.wrapping_add(choose::rounded(height))
                });
                if divisor == 1 {
                    out.extend(line.map(|offset| map(offset.wrapping_add(first))));
                } else {
                    out.extend(line.map(|o| map(o.wrapping_mul(divisor).wrapping_add(first))));
                }
                self.index += residuals.len() as i64;
            }
            _ => out
                .extend(residuals.iter().map(|r| map(r.wrapping_mul(divisor).wrapping_add(first)))),
        }
    }
}
