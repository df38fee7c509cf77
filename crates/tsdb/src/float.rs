//! The XOR chunk: floats, their times as differences of differences.

use varve_model::FloatSamples;

use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};
use crate::varbit::{extend, fits};
use crate::xor::Xor;

/// Bits of a difference of differences, after one, two or three ones.
const WIDTHS: [u32; 3] = [14, 17, 20];

/// Codes floats; `times` is as long as `values` and shorter than 65,536.
pub(crate) fn encode(times: &[i64], values: &[f64]) -> Vec<u8> {
    let mut out = BitWriter::after(&(times.len() as u16).to_be_bytes());
    let mut samples = times.iter().zip(values);
    let Some((&first, &value)) = samples.next() else { return out.finish() };
    out.uvarint(((first << 1) ^ (first >> 63)) as u64);
    out.bits(value.to_bits(), 64);
    let (mut time, mut step, mut column) = (first, None::<i64>, Xor::first(value));
    for (&t, &value) in samples {
        let delta = t.wrapping_sub(time);
        match step {
            None => out.uvarint(delta as u64),
            Some(step) => put_dod(&mut out, delta.wrapping_sub(step)),
        }
        (time, step) = (t, Some(delta));
        column.put(&mut out, value);
    }
    out.finish()
}

fn put_dod(out: &mut BitWriter, dod: i64) {
    if dod == 0 {
        return out.bits(0, 1);
    }
    match (1..).zip(WIDTHS).find(|(_, width)| fits(dod, *width)) {
        Some((ones, width)) => {
            out.bits(u64::MAX, ones);
            out.bits(0, 1);
            out.bits(dod as u64, width);
        }
        None => {
            out.bits(u64::MAX, 4);
            out.bits(dod as u64, 64);
        }
    }
}

fn dod(bits: &mut BitReader<'_>) -> Result<i64, ChunkError> {
    Ok(match bits.ones(4)? {
        0 => 0,
        n @ 1..4 => {
            let width = WIDTHS[n as usize - 1];
            extend(bits.bits(width)?, width)
        }
        _ => bits.bits(64)? as i64,
    })
}

/// Reads floats back.
pub(crate) fn decode(data: &[u8]) -> Result<FloatSamples, ChunkError> {
    let (count, data) = data.split_first_chunk::<2>().ok_or(ChunkError::Truncated)?;
    let mut bits = BitReader::new(data);
    let mut out = FloatSamples::default();
    let (mut time, mut step, mut column) = (0_i64, 0_i64, Xor::first(0.0));
    for i in 0..u16::from_be_bytes(*count) {
        if i == 0 {
            let zigzag = bits.uvarint()?;
            time = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            column = Xor::first(f64::from_bits(bits.bits(64)?));
        } else {
            step = if i == 1 { bits.uvarint()? as i64 } else { step.wrapping_add(dod(&mut bits)?) };
            let next = time.wrapping_add(step);
            if next <= time {
                return Err(ChunkError::Times);
            }
            time = next;
            column.read(&mut bits)?;
        }
        out.push(time, column.value(), 0);
    }
    Ok(out)
}
