//! Floats of different series next to each other: there is no earlier value
//! to compare with, but most are whole numbers or short decimals.
//!
//! Each value has a kind byte: 0 a whole number, 1 to 6 a whole number
//! divided by that power of ten, 254 the stale marker, 255 the eight bytes as
//! they are. The first two put a zigzag varint into the mantissas column. A
//! kind is taken only when it gives back the same bits.

use varve_model::{STALE_NAN_BITS, stale_nan};

use crate::varint::{ReadError, Reader, put_f64, put_zigzag};

const STALE: u8 = 254;
const RAW: u8 = 255;
/// Powers of ten that are tried for decimals.
const POWERS: [f64; 7] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];
/// Mantissas from here on take as many bytes as the value itself.
const MAX_MANTISSA: f64 = (1i64 << 48) as f64;

/// The three columns that values go to.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) kinds: Vec<u8>,
    pub(super) mantissas: Vec<u8>,
    pub(super) raw: Vec<u8>,
}

impl Columns {
    pub(super) fn push(&mut self, v: f64) {
        if v.to_bits() == STALE_NAN_BITS {
            self.kinds.push(STALE);
        } else if let Some((kind, mantissa)) = decimal(v) {
            self.kinds.push(kind);
            put_zigzag(&mut self.mantissas, mantissa);
        } else {
            self.kinds.push(RAW);
            put_f64(&mut self.raw, v);
        }
    }
}

/// The smallest power of ten by which `v` is a whole number, and that number.
fn decimal(v: f64) -> Option<(u8, i64)> {
    if v.is_nan() || v.abs() >= MAX_MANTISSA {
        return None;
    }
    POWERS.iter().zip(0u8..).find_map(|(power, kind)| {
        let mantissa = (v * power).round();
        let exact = (mantissa as i64 as f64 / power).to_bits() == v.to_bits();
        (mantissa.abs() < MAX_MANTISSA && exact).then_some((kind, mantissa as i64))
    })
}

/// Reads one value of a kind; `None` when there is no such kind.
pub(super) fn read(
    kind: u8,
    mantissas: &mut Reader<'_>,
    raw: &mut Reader<'_>,
) -> Result<Option<f64>, ReadError> {
    match kind {
        RAW => raw.f64().map(Some),
        STALE => Ok(Some(stale_nan())),
        _ => match POWERS.get(usize::from(kind)) {
            Some(power) => Ok(Some(mantissas.zigzag()? as f64 / power)),
            None => Ok(None),
        },
    }
}
