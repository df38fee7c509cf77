//! The integer pipeline: a transform that leaves small residuals, a common
//! divisor taken out, and patched blocks of 128.
//!
//! A stream does not hold its length; who holds the stream knows it. All
//! arithmetic wraps, so that every `i64` round trips under every transform.
//! How a transform is chosen is in [`choose`].

use super::ChunkError;
use super::bits::{Cursor, put_signed, put_varint};
use super::block;
use super::choose::{self, Transform};
use super::pack::BLOCK;

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

/// Reads a stream of `count` integers and hands them on in order, in runs of
/// at most 128.
pub(super) fn decode(
    from: &mut Cursor<'_>,
    count: usize,
    mut sink: impl FnMut(&[i64]),
) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    let head = from.byte("integer stream")?;
    if head & !(KIND | UNIFORM | DIVISOR) != 0 {
        return Err(ChunkError::Field { field: "integer stream kind", value: head.into() });
    }
    let first = from.signed("first integer")?;
    let divisor = if head & DIVISOR != 0 { from.varint("divisor")? as i64 } else { 1 };
    // Without a divisor, offsets are undone on top of the first value.
    let base = if divisor == 1 { first } else { 0 };
    let mut state = State { first, divisor, base, index: 0, last: base, step: 0, slope: 0 };
    let mut left = count - 1;
    sink(&[first]);
    let apply = match head & KIND {
        0 => {
            let run = [first; BLOCK];
            repeat(left, |n| sink(&run[..n]));
            return Ok(());
        }
        1 => State::plain,
        2 => State::delta,
        3 => {
            state.step = from.signed("first step")?;
            if left > 0 {
                left -= 1;
                state.last = base.wrapping_add(state.step);
                let mut second = [state.last];
                state.multiply(&mut second);
                sink(&second);
            }
            State::delta2
        }
        4 => {
            state.slope = from.signed("slope")?;
            State::linear
        }
        kind => {
            return Err(ChunkError::Field { field: "integer transform", value: kind.into() });
        }
    };
    let mut buffer = [0i64; BLOCK];
    if head & UNIFORM != 0 {
        let residual = from.signed("uniform residual")?;
        repeat(left, |n| {
            buffer.fill(residual);
            apply(&mut state, &mut buffer);
            sink(&buffer[..n]);
        });
        return Ok(());
    }
    while left > 0 {
        let n = left.min(BLOCK);
        block::decode(from, n, &mut buffer)?;
        apply(&mut state, &mut buffer);
        sink(&buffer[..n]);
        left -= n;
    }
    Ok(())
}

/// Reads a stream of `count` integers into a new vector.
pub(super) fn decode_vec(from: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let mut values = Vec::with_capacity(count);
    decode(from, count, |run| values.extend_from_slice(run))?;
    Ok(values)
}

/// Splits `left` into runs of at most 128.
fn repeat(mut left: usize, mut run: impl FnMut(usize)) {
    while left > 0 {
        run(left.min(BLOCK));
        left -= left.min(BLOCK);
    }
}

/// What undoing a transform carries from block to block.
struct State {
    first: i64,
    divisor: i64,
    /// Added to each offset: the first value, or 0 if there is a divisor.
    base: i64,
    /// How many offsets have been undone.
    index: i64,
    /// The last offset.
    last: i64,
    /// The last difference of two offsets.
    step: i64,
    slope: i64,
}

impl State {
    /// Undoes the division.
    fn multiply(&self, block: &mut [i64]) {
        if self.divisor != 1 {
            for v in block {
                *v = v.wrapping_mul(self.divisor).wrapping_add(self.first);
            }
        }
    }

    fn plain(&mut self, block: &mut [i64; BLOCK]) {
        for v in &mut *block {
            *v = v.wrapping_add(self.base);
        }
        self.multiply(block);
    }

    fn delta(&mut self, block: &mut [i64; BLOCK]) {
        let mut last = self.last;
        for v in &mut *block {
            last = last.wrapping_add(*v);
            *v = last;
        }
        self.last = last;
        self.multiply(block);
    }

    fn delta2(&mut self, block: &mut [i64; BLOCK]) {
        let (mut last, mut step) = (self.last, self.step);
        for v in &mut *block {
            step = step.wrapping_add(*v);
            last = last.wrapping_add(step);
            *v = last;
        }
        (self.last, self.step) = (last, step);
        self.multiply(block);
    }

    fn linear(&mut self, block: &mut [i64; BLOCK]) {
        let mut height = self.slope.wrapping_mul(self.index + 1);
        for v in &mut *block {
            *v = v.wrapping_add(choose::rounded(height)).wrapping_add(self.base);
            height = height.wrapping_add(self.slope);
        }
        self.index += BLOCK as i64;
        self.multiply(block);
    }
}
