//! The column of floats: integers, scaled decimals, accumulated sums, or the
//! bits themselves as ordered integers; whichever the values are.
//!
//! How values are recognised is in [`decimal`](super::decimal). What does not
//! fit the recognised form (NaN payloads, stale markers, infinities, -0.0, an
//! odd value) is kept apart as runs of exceptions, bit by bit.

use super::bits::{Cursor, opening, put_varint};
use super::decimal::{self, Form};
use super::ints::{self, Sink};
use super::kernels::{Kernels, Scale};
use super::pack::BLOCK;
use super::{ChunkError, MAX_CHUNK_SAMPLES, check_len, kind_error, runs};

const INTEGERS: u8 = 0;
const DECIMALS: u8 = 1;
const SUMS: u8 = 2;
const BITS: u8 = 3;
const EXCEPTIONS: u8 = 8;

/// Bits that are frequent among exceptions; the code is the place in the list.
const FREQUENT: [u64; 7] = [
    varve_model::STALE_NAN_BITS,
    0x7ff8_0000_0000_0001, // Prometheus' usual NaN
    0x7ff8_0000_0000_0000, // the usual NaN elsewhere
    0xfff8_0000_0000_0000, // 0/0 on x86
    0x7ff0_0000_0000_0000, // +Inf
    0xfff0_0000_0000_0000, // -Inf
    0x8000_0000_0000_0000, // -0.0
];
/// The code after which the bits themselves follow.
const OTHER: u8 = FREQUENT.len() as u8;

/// Appends a column of floats, bit exact for every one of them.
///
/// # Panics
///
/// With more than [`MAX_CHUNK_SAMPLES`].
pub fn encode_floats(values: &[f64], out: &mut Vec<u8>) {
    check_len(values.len());
    let (form, exceptions) = decimal::recognise(values);
    out.push(opening(kind(&form, &exceptions)));
    put_varint(out, values.len() as u64);
    write(&form, &exceptions, out);
}

/// Appends the floats of a column to `out`. After an error `out` may hold
/// some of them.
pub fn decode_floats(bytes: &[u8], out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    let kind = from.opening()?;
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    read(kind, &mut from, count, out)?;
    from.finish()
}

/// Appends floats without version and count: what stands inside a column of
/// another kind.
pub(super) fn encode_inner(values: &[f64], out: &mut Vec<u8>) {
    let (form, exceptions) = decimal::recognise(values);
    out.push(kind(&form, &exceptions));
    write(&form, &exceptions, out);
}

/// Reads what [`encode_inner`] wrote.
pub(super) fn decode_inner(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    let kind = from.byte("kind of floats")?;
    let mut values = Vec::new();
    read(kind, from, count, &mut values)?;
    Ok(values)
}

fn kind(form: &Form, exceptions: &[runs::Run]) -> u8 {
    let kind = match form {
        Form::Decimals { exponent: 0, .. } => INTEGERS,
        Form::Decimals { .. } => DECIMALS,
        Form::Sums { .. } => SUMS,
        Form::Bits(_) => BITS,
    };
    if exceptions.is_empty() { kind } else { kind | EXCEPTIONS }
}

fn write(form: &Form, exceptions: &[runs::Run], out: &mut Vec<u8>) {
    match form {
        Form::Decimals { exponent, scaled } => {
            if *exponent > 0 {
                out.push(*exponent);
            }
            ints::encode(scaled, out);
        }
        Form::Sums { exponent, scaled, errors } => {
            out.push(*exponent);
            ints::encode(scaled, out);
            ints::encode(errors, out);
        }
        Form::Bits(ordered) => ints::encode(ordered, out),
    }
    if !exceptions.is_empty() {
        runs::encode(exceptions, out, |out, bits| match FREQUENT.iter().position(|f| *f == bits) {
            Some(code) => out.push(code as u8),
            None => {
                out.push(OTHER);
                out.extend(bits.to_le_bytes());
            }
        });
    }
}

fn read(
    kind: u8,
    from: &mut Cursor<'_>,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let (base, kernels) = (out.len(), Kernels::best());
    out.reserve(count);
    let form = match kind & !EXCEPTIONS {
        INTEGERS => Numbers::Integers,
        DECIMALS | SUMS => Numbers::Decimals(scale(from)?),
        BITS => Numbers::Ordered,
        _ => return Err(kind_error("kind of floats", kind)),
    };
    ints::decode(kernels, from, count, &mut Floats { kernels, form, out })?;
    if kind & !EXCEPTIONS == SUMS {
        ints::decode(kernels, from, count, &mut Errors { kernels, floats: &mut out[base..] })?;
    }
    if kind & EXCEPTIONS != 0 {
        let values = &mut out[base..];
        runs::decode(from, count, exception, |run| {
            values[run.start..run.start + run.len].fill(f64::from_bits(run.value));
        })?;
    }
    Ok(())
}

/// What integers stand for.
#[derive(Clone, Copy)]
enum Numbers {
    Integers,
    Decimals(Scale),
    Ordered,
}

/// Appends what integers stand for.
struct Floats<'a> {
    kernels: Kernels,
    form: Numbers,
    out: &'a mut Vec<f64>,
}

impl Sink for Floats<'_> {
    #[inline]
    fn block(&mut self, block: &[i64; BLOCK], len: usize) {
        let at = self.out.len();
        self.out.resize(at + len, 0.0);
        let out = &mut self.out[at..];
        match self.form {
            Numbers::Integers => self.kernels.floats(block, out),
            Numbers::Decimals(scale) => self.kernels.decimals(block, scale, out),
            Numbers::Ordered => self.kernels.ordered(block, out),
        }
    }

    #[inline]
    fn narrow(&mut self, block: &[i32; BLOCK], len: usize, base: i64, factor: i64) {
        let (kernels, first, step) = (self.kernels, base as f64, factor as f64);
        match self.form {
            Numbers::Integers => kernels.floats_narrow(block, len, first, step, self.out),
            Numbers::Decimals(scale) => {
                kernels.decimals_narrow(block, len, first, step, scale, self.out);
            }
            Numbers::Ordered => self.out.extend(
                block[..len].iter().map(|i| decimal::from_ordered(base + factor * i64::from(*i))),
            ),
        }
    }

    #[inline]
    fn repeat(&mut self, value: i64, times: usize) {
        let value = match self.form {
            Numbers::Integers => value as f64,
            Numbers::Decimals(scale) => scale.decimal(value),
            Numbers::Ordered => decimal::from_ordered(value),
        };
        self.out.resize(self.out.len() + times, value);
    }
}

/// Moves floats by units in the last place.
struct Errors<'a> {
    kernels: Kernels,
    /// Those that are yet to be moved.
    floats: &'a mut [f64],
}

impl Errors<'_> {
    fn next(&mut self, len: usize) -> &mut [f64] {
        self.floats.split_off_mut(..len).unwrap_or_default()
    }
}

impl Sink for Errors<'_> {
    fn block(&mut self, block: &[i64; BLOCK], len: usize) {
        self.kernels.nudge(block, self.next(len));
    }

    fn repeat(&mut self, value: i64, times: usize) {
        for float in self.next(times) {
            *float = decimal::from_ordered(decimal::ordered(*float).wrapping_add(value));
        }
    }
}

/// Reads a decimal exponent.
fn scale(from: &mut Cursor<'_>) -> Result<Scale, ChunkError> {
    let exponent = from.byte("decimal exponent")?;
    let wrong = ChunkError::Field { field: "decimal exponent", value: exponent.into() };
    Scale::new(exponent).ok_or(wrong)
}

/// Reads the bits of an exception.
fn exception(from: &mut Cursor<'_>) -> Result<u64, ChunkError> {
    let code = from.byte("exception")?;
    match FREQUENT.get(usize::from(code)) {
        Some(bits) => Ok(*bits),
        None if code == OTHER => from.word("exception"),
        None => Err(kind_error("exception", code)),
    }
}
