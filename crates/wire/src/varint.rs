//! Reading and writing of varints, zigzag numbers and fixed words: what both
//! protobuf and the batch format are made of.
//!
//! The reader never looks past its slice and never allocates; positions in
//! its errors count from the beginning of the outermost slice.

/// Appends an LEB128 number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Appends a signed number, small magnitudes in few bytes.
pub(crate) fn put_zigzag(out: &mut Vec<u8>, v: i64) {
    put_varint(out, zigzag(v));
}

/// Appends bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the eight bytes of a float, little endian.
pub(crate) fn put_f64(out: &mut Vec<u8>, v: f64) {
    out.extend_from_slice(&v.to_bits().to_le_bytes());
}

/// Maps small magnitudes of either sign to small numbers.
pub(crate) fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

/// Undoes [`zigzag`].
pub(crate) fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The bytes end inside a value.
    Truncated,
    /// A varint of more than 64 bits.
    Overlong,
}

/// Reads values off the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a slice that begins at position `base` of the outermost one.
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { rest: bytes, end: base + bytes.len() }
    }

    /// The position of the next byte in the outermost slice.
    pub(crate) fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What is still to be read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        let (&first, rest) = self.rest.split_first().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, ReadError> {
        match self.rest.split_first() {
            Some((&b, rest)) if b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(b))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ReadError> {
        let mut v = 0u64;
        for (i, &b) in self.rest.iter().take(10).enumerate() {
            if i == 9 && b > 1 {
                return Err(ReadError::Overlong);
            }
            v |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(v);
            }
        }
        Err(if self.rest.len() >= 10 { ReadError::Overlong } else { ReadError::Truncated })
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, ReadError> {
        self.varint().map(unzigzag)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, ReadError> {
        let (word, rest) = self.rest.split_first_chunk::<8>().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*word)))
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: u64) -> Result<&'a [u8], ReadError> {
        let n = usize::try_from(n).map_err(|_| ReadError::Truncated)?;
        let (head, rest) = self.rest.split_at_checked(n).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let n = self.varint()?;
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(v: u64, s: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            put_zigzag(&mut out, s);
            let mut r = Reader::new(&out, 0);
            prop_assert_eq!(r.varint(), Ok(v));
            prop_assert_eq!(r.zigzag(), Ok(s));
            prop_assert!(r.is_empty());
        }
    }

    #[test]
    fn long_and_cut_numbers_are_refused() {
        assert_eq!(Reader::new(&[0xff; 9], 0).varint(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0xff; 11], 0).varint(), Err(ReadError::Overlong));
        assert_eq!(Reader::new(&[5, 1], 0).bytes(), Err(ReadError::Truncated));
    }
}
