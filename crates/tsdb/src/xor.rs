//! Floats as the difference of their bits to those of the float before: of
//! equal floats one bit, else the window of bits that differ.

use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};

/// One column of floats, as its last value left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Xor {
    bits: u64,
    /// Zeros before and behind the window that was named last.
    window: Option<(u32, u32)>,
}

impl Xor {
    /// A column that begins with this value, written in full.
    pub(crate) fn first(value: f64) -> Self {
        Self { bits: value.to_bits(), window: None }
    }

    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Appends the next value.
    pub(crate) fn put(&mut self, out: &mut BitWriter, value: f64) {
        let delta = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if delta == 0 {
            out.bits(0, 1);
            return;
        }
        // Five bits say how many zeros lead.
        let leading = delta.leading_zeros().min(31);
        let trailing = delta.trailing_zeros();
        if let Some((l, t)) = self.window
            && leading >= l
            && trailing >= t
        {
            out.bits(0b10, 2);
            out.bits(delta >> t, 64 - l - t);
            return;
        }
        self.window = Some((leading, trailing));
        let significant = 64 - leading - trailing;
        out.bits(0b11, 2);
        out.bits(leading.into(), 5);
        // 64 does not fit six bits and is written as 0.
        out.bits(significant.into(), 6);
        out.bits(delta >> trailing, significant);
    }

    /// Reads the next value into the column.
    pub(crate) fn read(&mut self, bits: &mut BitReader<'_>) -> Result<(), ChunkError> {
        match bits.ones(2)? {
            0 => return Ok(()),
            1 => {}
            _ => {
                let leading = bits.bits(5)? as u32;
                let significant = match bits.bits(6)? as u32 {
                    0 => 64,
                    n => n,
                };
                let trailing = 64_u32.checked_sub(leading + significant);
                self.window = Some((leading, trailing.ok_or(ChunkError::Window)?));
            }
        }
        let (leading, trailing) = self.window.ok_or(ChunkError::Window)?;
        self.bits ^= bits.bits(64 - leading - trailing)? << trailing;
        Ok(())
    }
}
