//! A stream of bits, the most significant bit of each byte first.

use crate::ChunkError;

/// Appends bits to bytes; what is free of the last byte stays zero.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used.
    free: u32,
}

impl BitWriter {
    /// A stream that follows a header of whole bytes.
    pub(crate) fn after(header: &[u8]) -> Self {
        Self { bytes: header.to_vec(), free: 0 }
    }

    /// Appends the lowest `n` bits of `value`; `n` is at most 64.
    pub(crate) fn bits(&mut self, value: u64, n: u32) {
        let mut left = n;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let part = (value >> (left - take)) as u8 & (0xff >> (8 - take));
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << (self.free - take);
            }
            self.free -= take;
            left -= take;
        }
    }

    /// Appends a LEB128 number.
    pub(crate) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads bits and never past the end.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Position in bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bits are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// The next `n` bits as a number; `n` is at most 64.
    pub(crate) fn bits(&mut self, n: u32) -> Result<u64, ChunkError> {
        if self.left() < n as usize {
            return Err(ChunkError::Truncated);
        }
        if n == 0 {
            return Ok(0);
        }
        let rest = &self.bytes[self.at / 8..];
        let mut window = [0; 16];
        let len = rest.len().min(window.len());
        window[..len].copy_from_slice(&rest[..len]);
        let window = u128::from_be_bytes(window) << (self.at % 8);
        self.at += n as usize;
        Ok((window >> (128 - n)) as u64)
    }

    /// How many ones come before the next zero, at most `most`; reads both.
    pub(crate) fn ones(&mut self, most: u32) -> Result<u32, ChunkError> {
        let mut n = 0;
        while n < most && self.bits(1)? == 1 {
            n += 1;
        }
        Ok(n)
    }

    /// A LEB128 number.
    pub(crate) fn uvarint(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bits(8)?;
            if shift == 63 && byte > 1 {
                return Err(ChunkError::Overlong);
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::Overlong)
    }
}
