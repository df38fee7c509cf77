//! One native histogram in a batch: a flag byte, the scalars that are not at
//! their default, spans, bounds, and counts as differences between buckets.

use varve_model::{Counts, Histogram, ResetHint, Span};

use crate::varint::{ReadError, Reader, put_f64, put_varint, put_zigzag};

/// Flag bits; the reset hint stands in the two lowest.
const HINT: u8 = 0b11;
const FLOAT: u8 = 1 << 2;
const NEGATIVE: u8 = 1 << 3;
const BOUNDS: u8 = 1 << 4;

pub(super) fn put(out: &mut Vec<u8>, h: &Histogram) {
    let float = matches!(h.counts, Counts::Float { .. });
    let negative_counts = match &h.counts {
        Counts::Int { negative, .. } => negative.len(),
        Counts::Float { negative, .. } => negative.len(),
    };
    let negative = !h.negative_spans.is_empty() || negative_counts > 0;
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.push(
        h.reset_hint as u8
            | flag(float, FLOAT)
            | flag(negative, NEGATIVE)
            | flag(!h.custom_bounds.is_empty(), BOUNDS),
    );
    put_zigzag(out, i64::from(h.schema));
    put_f64(out, h.zero_threshold);
    put_f64(out, h.sum);
    put_spans(out, &h.positive_spans);
    if negative {
        put_spans(out, &h.negative_spans);
    }
    if !h.custom_bounds.is_empty() {
        put_floats(out, &h.custom_bounds);
    }
    match &h.counts {
        Counts::Int { count, zero, positive, negative: low } => {
            put_varint(out, *count);
            put_varint(out, *zero);
            put_counts(out, positive);
            if negative {
                put_counts(out, low);
            }
        }
        Counts::Float { count, zero, positive, negative: low } => {
            put_f64(out, *count);
            put_f64(out, *zero);
            put_floats(out, positive);
            if negative {
                put_floats(out, low);
            }
        }
    }
}

pub(super) fn read(r: &mut Reader<'_>) -> Result<Histogram, ReadError> {
    let flags = r.u8()?;
    let reset_hint = match flags & HINT {
        0 => ResetHint::Unknown,
        1 => ResetHint::CounterReset,
        2 => ResetHint::NotCounterReset,
        _ => ResetHint::Gauge,
    };
    let negative = flags & NEGATIVE != 0;
    let schema = i32::try_from(r.zigzag()?).map_err(|_| ReadError::Overlong)?;
    let (zero_threshold, sum) = (r.f64()?, r.f64()?);
    let positive_spans = read_spans(r)?;
    let negative_spans = if negative { read_spans(r)? } else { Vec::new() };
    let custom_bounds = if flags & BOUNDS != 0 { read_floats(r)? } else { Vec::new() };
    let counts = if flags & FLOAT != 0 {
        let (count, zero, positive) = (r.f64()?, r.f64()?, read_floats(r)?);
        let negative = if negative { read_floats(r)? } else { Vec::new() };
        Counts::Float { count, zero, positive, negative }
    } else {
        let (count, zero, positive) = (r.varint()?, r.varint()?, read_counts(r)?);
        let negative = if negative { read_counts(r)? } else { Vec::new() };
        Counts::Int { count, zero, positive, negative }
    };
    Ok(Histogram {
        schema,
        zero_threshold,
        sum,
        reset_hint,
        positive_spans,
        negative_spans,
        custom_bounds,
        counts,
    })
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_varint(out, spans.len() as u64);
    for s in spans {
        put_zigzag(out, i64::from(s.offset));
        put_varint(out, u64::from(s.length));
    }
}

fn put_floats(out: &mut Vec<u8>, values: &[f64]) {
    put_varint(out, values.len() as u64);
    for v in values {
        put_f64(out, *v);
    }
}

fn put_counts(out: &mut Vec<u8>, counts: &[u64]) {
    put_varint(out, counts.len() as u64);
    let mut last = 0u64;
    for c in counts {
        put_zigzag(out, c.wrapping_sub(last) as i64);
        last = *c;
    }
}

/// A count of things that take at least `size` bytes each.
fn read_len(r: &mut Reader<'_>, size: usize) -> Result<usize, ReadError> {
    let n = r.varint()?;
    if n > (r.remaining() / size) as u64 {
        return Err(ReadError::Truncated);
    }
    Ok(n as usize)
}

fn read_spans(r: &mut Reader<'_>) -> Result<Vec<Span>, ReadError> {
    let n = read_len(r, 2)?;
    let mut spans = Vec::with_capacity(n);
    for _ in 0..n {
        let offset = i32::try_from(r.zigzag()?).map_err(|_| ReadError::Overlong)?;
        let length = u32::try_from(r.varint()?).map_err(|_| ReadError::Overlong)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn read_floats(r: &mut Reader<'_>) -> Result<Vec<f64>, ReadError> {
    let n = read_len(r, 8)?;
    (0..n).map(|_| r.f64()).collect()
}

fn read_counts(r: &mut Reader<'_>) -> Result<Vec<u64>, ReadError> {
    let n = read_len(r, 1)?;
    let mut counts = Vec::with_capacity(n);
    let mut last = 0u64;
    for _ in 0..n {
        last = last.wrapping_add(r.zigzag()? as u64);
        counts.push(last);
    }
    Ok(counts)
}
