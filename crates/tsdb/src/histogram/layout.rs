//! What all histograms of a chunk share: zero threshold, schema, spans and
//! custom bounds, in this order.

use varve_model::{
    CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, MAX_EXPONENTIAL_SCHEMA, MIN_EXPONENTIAL_SCHEMA,
    ResetHint, Span,
};

use super::MAX_DECODED;
use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};
use crate::varbit;

/// The layout of a chunk.
#[derive(Debug, Default)]
pub(super) struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    bounds: Vec<f64>,
}

/// Thresholds that are a power of two from 2^−243 to 2^10 take one byte: its
/// exponent and this.
const EXPONENT_BIAS: i64 = 244;
/// The byte before a threshold that is written in full.
const THRESHOLD_IN_FULL: u64 = 255;
/// Bounds that are whole thousandths take their number, up to this.
const MAX_THOUSANDTHS: f64 = 33_554_430.0;

impl Layout {
    /// Writes the layout of a histogram; that of a stale marker is empty.
    pub(super) fn put(h: &Histogram, out: &mut BitWriter) {
        put_threshold(out, h.zero_threshold);
        varbit::put_int(out, h.schema.into());
        for spans in [&h.positive_spans, &h.negative_spans] {
            varbit::put_uint(out, spans.len() as u64);
            for span in spans {
                varbit::put_uint(out, span.length.into());
                varbit::put_int(out, span.offset.into());
            }
        }
        if h.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::put_uint(out, h.custom_bounds.len() as u64);
            h.custom_bounds.iter().for_each(|b| put_bound(out, *b));
        }
    }

    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = threshold(bits)?;
        let schema = varbit::int(bits)?;
        let exponential = i64::from(MIN_EXPONENTIAL_SCHEMA)..=i64::from(MAX_EXPONENTIAL_SCHEMA);
        let custom = schema == i64::from(CUSTOM_BUCKETS_SCHEMA);
        if !custom && !exponential.contains(&schema) {
            return Err(ChunkError::Schema(schema));
        }
        let (positive, negative) = (spans(bits)?, spans(bits)?);
        let mut bounds = Vec::new();
        if custom {
            for _ in 0..varbit::uint(bits)? {
                bounds.push(bound(bits)?);
            }
        }
        Ok(Self { schema: schema as i32, zero_threshold, positive, negative, bounds })
    }

    /// How many positive and negative buckets there are: no more than bits
    /// are left, as each takes one at least.
    pub(super) fn buckets(&self, bits: &BitReader<'_>) -> Result<(usize, usize), ChunkError> {
        let named = |spans: &[Span]| spans.iter().map(|s| u64::from(s.length)).sum::<u64>();
        let (positive, negative) = (named(&self.positive), named(&self.negative));
        let all = positive.saturating_add(negative);
        if all > bits.left() as u64 {
            return Err(ChunkError::Truncated);
        }
        if all > MAX_DECODED as u64 / 32 {
            return Err(ChunkError::TooLarge(MAX_DECODED));
        }
        Ok((positive as usize, negative as usize))
    }

    pub(super) fn histogram(&self, sum: f64, reset_hint: ResetHint, counts: Counts) -> Histogram {
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum,
            reset_hint,
            positive_spans: self.positive.clone(),
            negative_spans: self.negative.clone(),
            custom_bounds: self.bounds.clone(),
            counts,
        }
    }
}

/// Whether spans name as many buckets as there are counts.
pub(super) fn names(spans: &[Span], counts: usize) -> bool {
    spans.iter().map(|s| u64::from(s.length)).sum::<u64>() == counts as u64
}

fn spans(bits: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let mut spans = Vec::new();
    for _ in 0..varbit::uint(bits)? {
        let (length, offset) = (varbit::uint(bits)?, varbit::int(bits)?);
        let length = u32::try_from(length).map_err(|_| ChunkError::Span)?;
        let offset = i32::try_from(offset).map_err(|_| ChunkError::Span)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn put_threshold(out: &mut BitWriter, threshold: f64) {
    if threshold.to_bits() == 0 {
        return out.bits(0, 8);
    }
    // Of a power of two all bits but the exponent's are zero.
    let bits = threshold.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    if bits & ((1 << 52) - 1) == 0 && (-243..=10).contains(&exponent) {
        return out.bits((exponent + EXPONENT_BIAS) as u64, 8);
    }
    out.bits(THRESHOLD_IN_FULL, 8);
    out.bits(bits, 64);
}

fn threshold(bits: &mut BitReader<'_>) -> Result<f64, ChunkError> {
    Ok(match bits.bits(8)? {
        0 => 0.0,
        THRESHOLD_IN_FULL => f64::from_bits(bits.bits(64)?),
        byte => f64::from_bits((byte + 1023 - EXPONENT_BIAS as u64) << 52),
    })
}

fn put_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = bound * 1000.0;
    let whole = thousandths.round();
    let exact = (whole / 1000.0).to_bits() == bound.to_bits();
    if exact && (0.0..=MAX_THOUSANDTHS).contains(&thousandths) {
        return varbit::put_uint(out, whole as u64 + 1);
    }
    out.bits(0, 1);
    out.bits(bound.to_bits(), 64);
}

fn bound(bits: &mut BitReader<'_>) -> Result<f64, ChunkError> {
    Ok(match varbit::uint(bits)? {
        0 => f64::from_bits(bits.bits(64)?),
        n => (n - 1) as f64 / 1000.0,
    })
}
