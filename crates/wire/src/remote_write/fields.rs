//! Walking the fields of one protobuf message.
//!
//! Unknown fields are skipped, a known field of another wire type is an
//! error. Groups (which no current protobuf writes) are refused.

use super::DecodeError;
use crate::varint::{ReadError, Reader};

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// The bytes, and their position in the body.
    Bytes(&'a [u8], usize),
    Fixed32,
}

/// The fields of one message.
pub(crate) struct Fields<'a> {
    reader: Reader<'a>,
    message: &'static str,
}

/// One field of a message.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
    /// Position of its tag in the body.
    pub(crate) at: usize,
    message: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of the message `bytes`, which begins at `base` of the body.
    pub(crate) fn new(bytes: &'a [u8], base: usize, message: &'static str) -> Self {
        Self { reader: Reader::new(bytes, base), message }
    }

    /// The position after the last field read.
    pub(crate) fn position(&self) -> usize {
        self.reader.position()
    }

    /// Steps over the fields in a row that are bytes of this number (below 16)
    /// and shorter than 128, as nearly all labels are; what is otherwise, or
    /// cut short, is left to [`Fields::next`].
    pub(crate) fn skip_short(&mut self, number: u8) {
        let rest = self.reader.rest();
        let mut at = 0;
        while let Some(&[tag, len]) = rest.get(at..at + 2)
            && tag == number << 3 | 2
            && len < 0x80
            && at + 2 + usize::from(len) <= rest.len()
        {
            at += 2 + usize::from(len);
        }
        // As many bytes are there.
        let _ = self.reader.take(at as u64);
    }

    /// The next field, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let at = self.reader.position();
        let tag = self.reader.varint().map_err(|e| self.read_error(e))?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 || number > MAX_FIELD {
            return Err(self.wrong(at, "field number is out of range"));
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.reader.varint().map_err(|e| self.read_error(e))?),
            1 => {
                let v = self.reader.f64().map_err(|e| self.read_error(e))?;
                Value::Fixed64(v.to_bits())
            }
            2 => {
                let n = self.reader.varint().map_err(|e| self.read_error(e))?;
                let base = self.reader.position();
                Value::Bytes(self.reader.take(n).map_err(|e| self.read_error(e))?, base)
            }
            5 => {
                self.reader.take(4).map_err(|e| self.read_error(e))?;
                Value::Fixed32
            }
            _ => return Err(self.wrong(at, "unknown wire type")),
        };
        Ok(Some(Field { number, value, at, message: self.message }))
    }

    fn read_error(&self, e: ReadError) -> DecodeError {
        let what = match e {
            ReadError::Truncated => "it ends inside a field",
            ReadError::Overlong => "a number has more than 64 bits",
        };
        self.wrong(self.reader.position(), what)
    }

    fn wrong(&self, at: usize, what: &'static str) -> DecodeError {
        DecodeError::Malformed { message: self.message, at, what }
    }
}

/// The largest field number of protobuf.
const MAX_FIELD: u32 = (1 << 29) - 1;

impl<'a> Field<'a> {
    pub(crate) fn varint(&self) -> Result<u64, DecodeError> {
        match self.value {
            Value::Varint(v) => Ok(v),
            _ => Err(self.wrong_type()),
        }
    }

    pub(crate) fn int64(&self) -> Result<i64, DecodeError> {
        self.varint().map(|v| v as i64)
    }

    pub(crate) fn int32(&self) -> Result<i32, DecodeError> {
        self.varint().map(|v| v as i32)
    }

    pub(crate) fn sint32(&self) -> Result<i32, DecodeError> {
        self.varint().map(|v| unzigzag32(v as u32))
    }

    pub(crate) fn double(&self) -> Result<f64, DecodeError> {
        match self.value {
            Value::Fixed64(v) => Ok(f64::from_bits(v)),
            _ => Err(self.wrong_type()),
        }
    }

    pub(crate) fn bytes(&self) -> Result<(&'a [u8], usize), DecodeError> {
        match self.value {
            Value::Bytes(b, base) => Ok((b, base)),
            _ => Err(self.wrong_type()),
        }
    }

    /// The varints of a repeated field, packed or not, each to `take`.
    pub(crate) fn varints(
        &self,
        mut take: impl FnMut(u64) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.value {
            Value::Varint(v) => take(v),
            Value::Bytes(bytes, base) => {
                let mut r = Reader::new(bytes, base);
                while !r.is_empty() {
                    let v = r.varint().map_err(|_| DecodeError::Malformed {
                        message: self.message,
                        at: r.position(),
                        what: "a packed number is cut short or too long",
                    })?;
                    take(v)?;
                }
                Ok(())
            }
            _ => Err(self.wrong_type()),
        }
    }

    /// The doubles of a repeated field, packed or not, appended to `out`;
    /// `charge` is told their number of bytes before room is made.
    pub(crate) fn doubles(
        &self,
        out: &mut Vec<f64>,
        charge: impl FnOnce(usize) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.value {
            Value::Fixed64(v) => {
                charge(8)?;
                out.push(f64::from_bits(v));
                Ok(())
            }
            Value::Bytes(bytes, base) => {
                charge(bytes.len())?;
                let (words, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(DecodeError::Malformed {
                        message: self.message,
                        at: base + bytes.len(),
                        what: "packed doubles are cut short",
                    });
                }
                out.extend(words.iter().map(|w| f64::from_bits(u64::from_le_bytes(*w))));
                Ok(())
            }
            _ => Err(self.wrong_type()),
        }
    }

    fn wrong_type(&self) -> DecodeError {
        let what = "a field has another type than the specification gives it";
        DecodeError::Malformed { message: self.message, at: self.at, what }
    }
}

/// Undoes the zigzag coding of 32-bit numbers.
pub(crate) fn unzigzag32(v: u32) -> i32 {
    (v >> 1) as i32 ^ -((v & 1) as i32)
}
