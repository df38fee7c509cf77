//! Columns of native histograms.

use std::sync::Arc;

use varve_model::{Counts, Histogram, ResetHint, Span};

use super::bits::{Cursor, opening, put_signed, put_varint};
use super::{ChunkError, MAX_CHUNK_SAMPLES};

/// Appends a column of histograms. Of a reset hint only *gauge or not* is kept.
pub fn encode_histograms(values: &[Arc<Histogram>], out: &mut Vec<u8>) {
    assert!(values.len() <= MAX_CHUNK_SAMPLES, "chunk of {} samples", values.len());
    out.push(opening(0));
    put_varint(out, values.len() as u64);
    for h in values {
        put_signed(out, h.schema.into());
        put_floats(out, &[h.zero_threshold, h.sum]);
        put_varint(out, u64::from(h.reset_hint == ResetHint::Gauge));
        for spans in [&h.positive_spans, &h.negative_spans] {
            put_varint(out, spans.len() as u64);
            for s in spans {
                put_signed(out, s.offset.into());
                put_varint(out, s.length.into());
            }
        }
        put_floats(out, &h.custom_bounds);
        match &h.counts {
            Counts::Int { count, zero, positive, negative } => {
                put_varint(out, 0);
                for list in [&vec![*count, *zero], positive, negative] {
                    put_varint(out, list.len() as u64);
                    list.iter().for_each(|c| put_varint(out, *c));
                }
            }
            Counts::Float { count, zero, positive, negative } => {
                put_varint(out, 1);
                put_floats(out, &[*count, *zero]);
                put_floats(out, positive);
                put_floats(out, negative);
            }
        }
    }
}

fn put_floats(out: &mut Vec<u8>, list: &[f64]) {
    put_varint(out, list.len() as u64);
    list.iter().for_each(|v| out.extend(v.to_bits().to_le_bytes()));
}

fn floats(from: &mut Cursor<'_>) -> Result<Vec<f64>, ChunkError> {
    let count = from.count("floats", from.len() / 8)?;
    (0..count).map(|_| from.word("float").map(f64::from_bits)).collect()
}

fn ints(from: &mut Cursor<'_>) -> Result<Vec<u64>, ChunkError> {
    let count = from.count("integers", from.len())?;
    (0..count).map(|_| from.varint("integer")).collect()
}

fn pair<T: Copy>(list: &[T]) -> Result<(T, T), ChunkError> {
    match list {
        [a, b] => Ok((*a, *b)),
        _ => Err(ChunkError::Count { found: list.len(), expected: 2 }),
    }
}

fn spans(from: &mut Cursor<'_>) -> Result<Vec<Span>, ChunkError> {
    let count = from.count("spans", from.len())?;
    (0..count)
        .map(|_| {
            let offset = from.signed("span offset")? as i32;
            Ok(Span { offset, length: from.varint("span length")? as u32 })
        })
        .collect()
}

/// Appends the histograms of a column to `out`.
pub fn decode_histograms(bytes: &[u8], out: &mut Vec<Arc<Histogram>>) -> Result<(), ChunkError> {
    let mut from = Cursor::new(bytes);
    from.opening()?;
    let count = from.count("sample count", MAX_CHUNK_SAMPLES)?;
    for _ in 0..count {
        let schema = from.signed("schema")? as i32;
        let (zero_threshold, sum) = pair(&floats(&mut from)?)?;
        let gauge = from.varint("gauge flag")? == 1;
        let reset_hint = if gauge { ResetHint::Gauge } else { ResetHint::Unknown };
        let positive_spans = spans(&mut from)?;
        let negative_spans = spans(&mut from)?;
        let custom_bounds = floats(&mut from)?;
        let counts = if from.varint("kind of counts")? == 0 {
            let (count, zero) = pair(&ints(&mut from)?)?;
            Counts::Int { count, zero, positive: ints(&mut from)?, negative: ints(&mut from)? }
        } else {
            let (count, zero) = pair(&floats(&mut from)?)?;
            let positive = floats(&mut from)?;
            Counts::Float { count, zero, positive, negative: floats(&mut from)? }
        };
        out.push(Arc::new(Histogram {
            schema,
            zero_threshold,
            sum,
            reset_hint,
            positive_spans,
            negative_spans,
            custom_bounds,
            counts,
        }));
    }
    from.finish()
}
