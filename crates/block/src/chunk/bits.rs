//! Reading and writing bytes: varints, zigzag, and a cursor that never reads
//! past its end.
//!
//! Varints are LEB128 of at most ten bytes; signed numbers are zigzag first.

use super::{ChunkError, VERSION};

/// Reads a slice of bytes from the front.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether every byte has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, ChunkError> {
        let (first, rest) = self.bytes.split_first().ok_or(ChunkError::Truncated(what))?;
        self.bytes = rest;
        Ok(*first)
    }

    /// Steps over `len` bytes and returns them with all that follow.
    #[inline]
    pub(super) fn step_over(
        &mut self,
        len: usize,
        what: &'static str,
    ) -> Result<&'a [u8], ChunkError> {
        let all = self.bytes;
        self.bytes = all.get(len..).ok_or(ChunkError::Truncated(what))?;
        Ok(all)
    }

    /// The next varint.
    #[inline]
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        match *self.bytes {
            [low, ref rest @ ..] if low < 0x80 => {
                self.bytes = rest;
                Ok(low.into())
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(what),
        }
    }

    fn long_varint(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        let mut value = 0u64;
        for (i, &byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    return Err(ChunkError::Field { field: what, value: u64::MAX });
                }
                self.bytes = &self.bytes[i + 1..];
                return Ok(value);
            }
        }
        if self.bytes.len() >= 10 {
            return Err(ChunkError::Field { field: what, value: u64::MAX });
        }
        Err(ChunkError::Truncated(what))
    }

    /// The next zigzag varint.
    #[inline]
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, ChunkError> {
        self.varint(what).map(unzigzag)
    }

    /// The next eight bytes, little-endian.
    pub(super) fn word(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        let (word, rest) =
            self.bytes.split_first_chunk::<8>().ok_or(ChunkError::Truncated(what))?;
        self.bytes = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Steps over the next `count` pairs of a byte and a varint, if every varint
    /// is one byte.
    #[inline]
    pub(super) fn short_pairs(&mut self, count: usize) -> Option<&'a [[u8; 2]]> {
        let (pairs, rest) = self.bytes.split_at_checked(2 * count)?;
        let pairs = pairs.as_chunks::<2>().0;
        if pairs.iter().fold(0, |all, [_, varint]| all | varint) >= 0x80 {
            return None;
        }
        self.bytes = rest;
        Some(pairs)
    }

    /// A count of things of which at most `limit` are possible.
    pub(super) fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, ChunkError> {
        let claimed = self.varint(what)?;
        match usize::try_from(claimed) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(ChunkError::TooMany { claimed, limit: limit as u64 }),
        }
    }

    /// The byte that opens a column: checks the version, returns the kind.
    pub(super) fn opening(&mut self) -> Result<u8, ChunkError> {
        let byte = self.byte("version")?;
        if byte >> 4 != VERSION {
            return Err(ChunkError::Version(byte >> 4));
        }
        Ok(byte & 0x0f)
    }

    /// Checks that nothing is left.
    pub(super) fn finish(&self) -> Result<(), ChunkError> {
        if self.is_empty() { Ok(()) } else { Err(ChunkError::Trailing(self.bytes.len())) }
    }
}

/// The byte that opens a column of the given kind, 0 to 15.
pub(super) fn opening(kind: u8) -> u8 {
    VERSION << 4 | kind
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Maps small numbers of either sign to small unsigned ones.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How many bits a number needs, 0 to 64.
pub(super) fn bit_length(value: u64) -> u32 {
    64 - value.leading_zeros()
}
