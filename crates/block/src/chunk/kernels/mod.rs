//! The loops over one block, each in two versions: [`plain`] for every
//! machine, and `avx2` for x86-64 with AVX2 and FMA, chosen at run time.
//!
//! Both give the same bits; tests compare them. A block is always an array of
//! [`BLOCK`] integers of which the first `len` count: loops may go on to the end
//! of a group of eight, what lies behind `len` has no meaning. *Narrow* blocks
//! have 32 bits an integer.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod plain;
mod scale;
#[cfg(test)]
mod tests;

pub(super) use scale::{MAX_EXPONENT, POWERS, Scale};

use super::pack::{self, BLOCK};

/// Which version of the loops is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    /// A proof that this machine has AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    avx2: Option<fearless_simd::Avx2>,
}

/// The most bits of values that [`Kernels::unpack_narrow`] unpacks.
pub(super) const NARROW: u32 = 25;

/// The slope of a line that [`Kernels::line_narrow`] adds, in 2^-20.
#[derive(Clone, Copy, Debug)]
pub(super) struct NarrowSlope {
    /// Its whole part, rounded down,
    pub(super) whole: i32,
    /// and the rest.
    pub(super) part: u32,
    /// What the line has beyond a whole number at the first integer.
    pub(super) from: u32,
}

/// Calls the version for this machine.
macro_rules! either {
    ($self:ident, $name:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = $self.avx2 {
            return avx2::$name(avx2, $($argument),*);
        }
        plain::$name($($argument),*)
    }};
}

impl Kernels {
    /// The fastest version that this machine has.
    #[inline]
    pub(super) fn best() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: fearless_simd::Level::new().as_avx2(),
        }
    }

    /// The version for every machine.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: None,
        }
    }

    /// Unpacks `len` values of `width` bits and adds `reference` to each. Of
    /// `bytes` the first [`pack::packed_len`] are theirs; more may follow.
    #[inline]
    pub(super) fn unpack(
        self,
        bytes: &[u8],
        len: usize,
        width: u32,
        reference: i64,
        block: &mut [i64; BLOCK],
    ) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(avx2), 1..=avx2::WIDEST) = (self.avx2, width) {
            return avx2::unpack(avx2, bytes, len, width, reference, block);
        }
        pack::unpack(&bytes[..pack::packed_len(len, width)], len, width, reference, block);
    }

    /// As [`unpack`](Self::unpack) for values of at most [`NARROW`] bits.
    #[inline]
    pub(super) fn unpack_narrow(
        self,
        bytes: &[u8],
        len: usize,
        width: u32,
        reference: i32,
        block: &mut [i32; BLOCK],
    ) {
        if width == 0 {
            block[..len].fill(reference);
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2::unpack_narrow(avx2, bytes, len, width, reference, block);
        }
        let mut wide = [0; BLOCK];
        pack::unpack(&bytes[..pack::packed_len(len, width)], len, width, 0, &mut wide);
        for (narrow, wide) in block.iter_mut().zip(wide) {
            *narrow = (wide as i32).wrapping_add(reference);
        }
    }

    /// Replaces each integer by the sum of all up to it.
    #[inline]
    pub(super) fn sums_narrow(self, block: &mut [i32; BLOCK], len: usize) {
        either!(self, sums_narrow(block, len));
    }

    /// Adds a line that begins with a whole number and `slope.from`, its
    /// heights rounded down, to the integers.
    #[inline]
    pub(super) fn line_narrow(self, block: &mut [i32; BLOCK], len: usize, slope: NarrowSlope) {
        either!(self, line_narrow(block, len, slope));
    }

    /// Appends `base + factor × i` for each integer. No result, and no product,
    /// may be beyond ±2^53: then all are exact.
    #[inline]
    pub(super) fn floats_narrow(
        self,
        block: &[i32; BLOCK],
        len: usize,
        base: f64,
        factor: f64,
        out: &mut Vec<f64>,
    ) {
        either!(self, floats_narrow(block, len, base, factor, out));
    }

    /// Appends the same, divided by a power of ten.
    #[inline]
    pub(super) fn decimals_narrow(
        self,
        block: &[i32; BLOCK],
        len: usize,
        base: f64,
        factor: f64,
        scale: Scale,
        out: &mut Vec<f64>,
    ) {
        either!(self, decimals_narrow(block, len, base, factor, scale, out));
    }

    /// Replaces each integer by the sum of `before` and all up to it; returns
    /// the last of them, `before` if there are none.
    #[inline]
    pub(super) fn sums(self, block: &mut [i64; BLOCK], len: usize, before: i64) -> i64 {
        either!(self, sums(block, len, before))
    }

    /// Multiplies each integer by `factor` and adds `offset`.
    #[inline]
    pub(super) fn scale(self, block: &mut [i64; BLOCK], len: usize, factor: i64, offset: i64) {
        either!(self, scale(block, len, factor, offset));
    }

    /// Adds a line to the integers: `slope × i / 2^20`, rounded down, where `i`
    /// is `index` for the first of them.
    #[inline]
    pub(super) fn line(self, block: &mut [i64; BLOCK], len: usize, slope: i64, index: i64) {
        either!(self, line(block, len, slope, index));
    }

    /// The floats that the integers are, rounded to the nearest.
    #[inline]
    pub(super) fn floats(self, block: &[i64; BLOCK], out: &mut [f64]) {
        either!(self, floats(block, out));
    }

    /// The floats that the integers are, divided by a power of ten.
    #[inline]
    pub(super) fn decimals(self, block: &[i64; BLOCK], scale: Scale, out: &mut [f64]) {
        either!(self, decimals(block, scale, out));
    }

    /// The floats whose bits, in the order of floats, are the integers.
    #[inline]
    pub(super) fn ordered(self, block: &[i64; BLOCK], out: &mut [f64]) {
        either!(self, ordered(block, out));
    }

    /// Moves each float by as many units in the last place as its integer says.
    #[inline]
    pub(super) fn nudge(self, block: &[i64; BLOCK], floats: &mut [f64]) {
        either!(self, nudge(block, floats));
    }
}
