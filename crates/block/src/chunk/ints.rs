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
use super::choose::{self, SLOPE_BITS, Transform};
use super::kernels::{Kernels, NarrowSlope};
use super::pack::BLOCK;

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const DELTA: u8 = 2;
const DELTA2: u8 = 3;
const LINEAR: u8 = 4;
const KIND: u8 = 0b0_0111;
const UNIFORM: u8 = 0b0_1000;
const DIVISOR: u8 = 0b1_0000;

/// 2^52: integers up to it, and more, are floats.
const EXACT: f64 = 4_503_599_627_370_496.0;

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

/// Takes the integers of a stream, in order.
pub(super) trait Sink {
    /// The next `len` integers, the first of a block. What lies behind has no meaning.
    fn block(&mut self, block: &[i64; BLOCK], len: usize);

    /// The next `len` integers, which are `base + factor × i` for the first i of
    /// a block; none of them, and none of the products, is beyond ±2^52.
    fn narrow(&mut self, block: &[i32; BLOCK], len: usize, base: i64, factor: i64) {
        let wide = block.map(|i| base.wrapping_add(factor.wrapping_mul(i.into())));
        self.block(&wide, len);
    }

    /// The next `times` integers, all of them `value`.
    fn repeat(&mut self, value: i64, times: usize);
}

/// Integers as they are.
impl Sink for Vec<i64> {
    fn block(&mut self, block: &[i64; BLOCK], len: usize) {
        self.extend_from_slice(&block[..len]);
    }

    fn narrow(&mut self, block: &[i32; BLOCK], len: usize, base: i64, factor: i64) {
        if factor == 1 {
            self.extend(block[..len].iter().map(|i| base + i64::from(*i)));
        } else {
            self.extend(block[..len].iter().map(|i| base + factor * i64::from(*i)));
        }
    }

    fn repeat(&mut self, value: i64, times: usize) {
        self.extend(std::iter::repeat_n(value, times));
    }
}

/// Reads a stream of `count` integers.
pub(super) fn decode(
    kernels: Kernels,
    from: &mut Cursor<'_>,
    count: usize,
    sink: &mut impl Sink,
) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    let mut stream = Stream::open(from)?;
    sink.repeat(stream.first, 1);
    let mut left = count - 1;
    if stream.kind == DELTA2 && left > 0 {
        sink.repeat(stream.last, 1);
        left -= 1;
    }
    if let (CONSTANT | PLAIN, Some(residual)) = (stream.kind, stream.uniform) {
        let value = residual.wrapping_mul(stream.divisor).wrapping_add(stream.first);
        sink.repeat(value, left);
        return Ok(());
    }
    BLOCKS.with_borrow_mut(|Blocks { narrow, wide }| {
        while left > 0 {
            let n = left.min(BLOCK);
            left -= n;
            if stream.narrow(kernels, from, n, narrow, sink)? {
                continue;
            }
            match stream.uniform {
                Some(residual) => wide[..n].fill(residual.wrapping_add(stream.base)),
                None => block::decode(kernels, from, n, stream.base, wide)?,
            }
            stream.undo(kernels, wide, n);
            sink.block(wide, n);
        }
        Ok(())
    })
}

thread_local! {
    /// The block that is being decoded: to zero it for each stream would
    /// cost a short one a tenth of its time.
    static BLOCKS: RefCell<Blocks> =
        const { RefCell::new(Blocks { narrow: [0; BLOCK], wide: [0; BLOCK] }) };
}

/// A block of either kind, aligned as vectors like it.
#[repr(align(64))]
struct Blocks {
    narrow: [i32; BLOCK],
    wide: [i64; BLOCK],
}

/// Reads a stream of `count` integers into a new vector.
pub(super) fn decode_vec(
    kernels: Kernels,
    from: &mut Cursor<'_>,
    count: usize,
) -> Result<Vec<i64>, ChunkError> {
    let mut values = Vec::with_capacity(count);
    decode(kernels, from, count, &mut values)?;
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
    #[inline(always)]
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
        let base = if matches!(kind, PLAIN | LINEAR) && divisor == 1 { first } else { 0 };
        let last = first.wrapping_add(step);
        Ok(Self { kind, uniform, first, divisor, base, index: 0, last, step, slope })
    }

    /// Reads the next `len` residuals and hands on their values, if all of that
    /// can be done with 32 bits beside a base and a factor. If not, nothing is
    /// read.
    #[inline]
    fn narrow(
        &mut self,
        kernels: Kernels,
        from: &mut Cursor<'_>,
        len: usize,
        block: &mut [i32; BLOCK],
        sink: &mut impl Sink,
    ) -> Result<bool, ChunkError> {
        let (from_base, line) = match self.kind {
            PLAIN => (self.first, None),
            DELTA => (self.last, None),
            LINEAR => match Line::narrow(self.slope, self.index + 1) {
                Some(line) => (self.first, Some(line)),
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        if self.uniform.is_some() {
            return Ok(false);
        }
        let mut ahead = *from;
        let Some(bound) = block::decode_narrow(kernels, &mut ahead, len, block)? else {
            return Ok(false);
        };
        let (height, rise) = line.as_ref().map_or((0, 0), |line| (line.height, line.rise()));
        if bound + rise >= 1 << 31 {
            return Ok(false);
        }
        // The greatest value that there may be; this is where nothing may wrap.
        let most = from_base.unsigned_abs() as f64
            + (bound + rise + height.unsigned_abs()) as f64 * self.divisor.unsigned_abs() as f64;
        if most >= EXACT {
            return Ok(false);
        }
        *from = ahead;
        let base = from_base + self.divisor * height;
        if self.kind == DELTA {
            kernels.sums_narrow(block, len);
            self.last = base + self.divisor * i64::from(block[len - 1]);
        }
        if let Some(line) = line {
            kernels.line_narrow(block, len, line.slope);
            self.index += len as i64;
        }
        sink.narrow(block, len, base, self.divisor);
        Ok(true)
    }

    /// Turns the next residuals into values.
    #[inline]
    fn undo(&mut self, kernels: Kernels, block: &mut [i64; BLOCK], len: usize) {
        let Self { first, divisor, .. } = *self;
        match self.kind {
            PLAIN if divisor == 1 => {}
            DELTA => {
                if divisor != 1 {
                    kernels.scale(block, len, divisor, 0);
                }
                self.last = kernels.sums(block, len, self.last);
            }
            DELTA2 => {
                if divisor != 1 {
                    kernels.scale(block, len, divisor, 0);
                }
                self.step = kernels.sums(block, len, self.step);
                self.last = kernels.sums(block, len, self.last);
            }
            LINEAR => {
                kernels.line(block, len, self.slope, self.index + 1);
                if divisor != 1 {
                    kernels.scale(block, len, divisor, first);
                }
                self.index += len as i64;
            }
            _ => kernels.scale(block, len, divisor, first),
        }
    }
}

/// The part of a line that lies under a block, if 32 bits hold it beside its
/// height at the block's first integer.
struct Line {
    height: i64,
    slope: NarrowSlope,
}

impl Line {
    /// `None` where the line is too steep, or may wrap.
    fn narrow(slope: i64, index: i64) -> Option<Self> {
        let end = slope.checked_mul(index.checked_add(BLOCK as i64)?)?;
        if end.unsigned_abs() >= 1 << 62 {
            return None;
        }
        let whole = i32::try_from(slope >> SLOPE_BITS).ok()?;
        let below = |scaled: i64| scaled as u32 & ((1 << SLOPE_BITS) - 1);
        let height = choose::predict(slope, index);
        let slope = NarrowSlope { whole, part: below(slope), from: below(slope * index) };
        Some(Self { height, slope })
    }

    /// How far from its height it gets within a block.
    fn rise(&self) -> u64 {
        (u64::from(self.slope.whole.unsigned_abs()) + 1) * BLOCK as u64
    }
}
