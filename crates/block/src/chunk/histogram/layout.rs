//! A layout: all of a histogram but its numbers. Histograms of a series share
//! one for long.

use varve_model::{Counts, Histogram, ResetHint, Span};

use crate::chunk::ChunkError;
use crate::chunk::bits::{Cursor, put_signed, put_varint};
use crate::chunk::floats;

const FLOAT: u8 = 1;
const GAUGE: u8 = 2;
const BOUNDS: u8 = 4;
/// The lengths of the counts are not those of the spans and follow.
const LENGTHS: u8 = 8;
/// The zero threshold is neither of the two below and follows.
const THRESHOLD: u8 = 16;
/// The zero threshold is 2^-128, what client libraries use.
const USUAL_THRESHOLD: u8 = 32;
/// The custom bounds are too many to be coded, and follow as they are.
const PLAIN_BOUNDS: u8 = 64;

/// The most custom bounds that are coded: coded ones can take no room at all.
const MAX_CODED_BOUNDS: usize = 1 << 16;

/// 2^-128.
const USUAL: u64 = 0x37f0_0000_0000_0000;

/// One side's buckets: which there are, and how many counts were sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) len: usize,
}

/// All of a histogram but its numbers; floats as their bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    pub(super) float: bool,
    pub(super) gauge: bool,
    pub(super) schema: i32,
    pub(super) threshold: u64,
    pub(super) bounds: Vec<u64>,
    pub(super) positive: Side,
    pub(super) negative: Side,
}

/// Runs of samples of one layout: its number, and how many samples.
pub(super) type Uses = Vec<(usize, usize)>;

/// How much room a histogram takes, in numbers of eight bytes.
pub(super) fn cells(spans: usize, bounds: usize, counts: usize) -> usize {
    24usize.saturating_add(spans).saturating_add(bounds).saturating_add(counts)
}

/// The numbers of counts of a histogram, positive and negative.
pub(super) fn lens(h: &Histogram) -> (usize, usize) {
    match &h.counts {
        Counts::Int { positive, negative, .. } => (positive.len(), negative.len()),
        Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
    }
}

/// The number of buckets that spans name, if they name each once and in order.
pub(super) fn named(spans: &[Span]) -> Option<usize> {
    let mut named = 0usize;
    for (i, span) in spans.iter().enumerate() {
        if i > 0 && span.offset < 0 {
            return None;
        }
        named = named.checked_add(span.length as usize)?;
    }
    Some(named)
}

/// The index of each bucket that spans name.
pub(super) fn indexes(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let mut at = 0i64;
    spans.iter().flat_map(move |span| {
        let start = at + i64::from(span.offset);
        at = start + i64::from(span.length);
        start..at
    })
}

impl Side {
    /// Whether the spans name each count once and in order.
    pub(super) fn regular(&self) -> bool {
        named(&self.spans) == Some(self.len)
    }
}

impl Layout {
    /// The layout of a histogram.
    pub(super) fn of(h: &Histogram) -> Self {
        let (positive, negative) = lens(h);
        Self {
            float: matches!(h.counts, Counts::Float { .. }),
            gauge: h.reset_hint == ResetHint::Gauge,
            schema: h.schema,
            threshold: h.zero_threshold.to_bits(),
            bounds: h.custom_bounds.iter().map(|b| b.to_bits()).collect(),
            positive: Side { spans: h.positive_spans.clone(), len: positive },
            negative: Side { spans: h.negative_spans.clone(), len: negative },
        }
    }

    /// Whether a histogram has this layout.
    pub(super) fn fits(&self, h: &Histogram) -> bool {
        (self.positive.len, self.negative.len) == lens(h)
            && self.float == matches!(h.counts, Counts::Float { .. })
            && self.gauge == (h.reset_hint == ResetHint::Gauge)
            && self.schema == h.schema
            && self.threshold == h.zero_threshold.to_bits()
            && self.positive.spans == h.positive_spans
            && self.negative.spans == h.negative_spans
            && self.bounds.len() == h.custom_bounds.len()
            && self.bounds.iter().zip(&h.custom_bounds).all(|(a, b)| *a == b.to_bits())
    }

    /// How many numbers a histogram of this layout takes.
    pub(super) fn cells(&self) -> usize {
        let spans = self.positive.spans.len() + self.negative.spans.len();
        cells(spans, self.bounds.len(), self.positive.len.saturating_add(self.negative.len))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let sides = [&self.positive, &self.negative];
        let lengths = sides.iter().any(|s| !s.regular());
        let mut flags = 0;
        for (set, flag) in [
            (self.float, FLOAT),
            (self.gauge, GAUGE),
            (!self.bounds.is_empty(), BOUNDS),
            (lengths, LENGTHS),
            (self.threshold != 0 && self.threshold != USUAL, THRESHOLD),
            (self.threshold == USUAL, USUAL_THRESHOLD),
            (self.bounds.len() > MAX_CODED_BOUNDS, PLAIN_BOUNDS),
        ] {
            flags |= if set { flag } else { 0 };
        }
        out.push(flags);
        put_signed(out, self.schema.into());
        if flags & THRESHOLD != 0 {
            out.extend(self.threshold.to_le_bytes());
        }
        for side in sides {
            put_varint(out, side.spans.len() as u64);
            for span in &side.spans {
                put_signed(out, span.offset.into());
                put_varint(out, span.length.into());
            }
            if lengths {
                put_varint(out, side.len as u64);
            }
        }
        if !self.bounds.is_empty() {
            let bounds: Vec<f64> = self.bounds.iter().map(|b| f64::from_bits(*b)).collect();
            put_varint(out, bounds.len() as u64);
            if flags & PLAIN_BOUNDS == 0 {
                floats::encode_inner(&bounds, out);
            } else {
                out.extend(self.bounds.iter().flat_map(|b| b.to_le_bytes()));
            }
        }
    }

    /// Reads a layout of at most `limit` cells.
    pub(super) fn decode(from: &mut Cursor<'_>, limit: usize) -> Result<Self, ChunkError> {
        let flags = from.byte("layout")?;
        if flags >= 128 {
            return Err(ChunkError::Field { field: "layout flags", value: flags.into() });
        }
        let schema = narrow("schema", from.signed("schema")?)?;
        let threshold = match flags & (THRESHOLD | USUAL_THRESHOLD) {
            0 => 0,
            USUAL_THRESHOLD => USUAL,
            _ => from.word("zero threshold")?,
        };
        let positive = Side::decode(from, flags & LENGTHS != 0)?;
        let negative = Side::decode(from, flags & LENGTHS != 0)?;
        let mut bounds = Vec::new();
        if flags & PLAIN_BOUNDS != 0 {
            let count = from.count("custom bounds", from.len() / 8)?;
            for _ in 0..count {
                bounds.push(from.word("custom bound")?);
            }
        } else if flags & BOUNDS != 0 {
            let count = from.count("custom bounds", MAX_CODED_BOUNDS)?;
            bounds = floats::decode_inner(from, count)?.iter().map(|b| b.to_bits()).collect();
        }
        let (float, gauge) = (flags & FLOAT != 0, flags & GAUGE != 0);
        let layout = Self { float, gauge, schema, threshold, bounds, positive, negative };
        if layout.cells() > limit {
            let (claimed, limit) = (layout.cells() as u64, limit as u64);
            return Err(ChunkError::TooMany { claimed, limit });
        }
        Ok(layout)
    }
}

impl Side {
    fn decode(from: &mut Cursor<'_>, length: bool) -> Result<Self, ChunkError> {
        // A span takes two bytes at least.
        let count = from.count("spans", from.len() / 2)?;
        let mut side = Self { spans: Vec::with_capacity(count), len: 0 };
        for _ in 0..count {
            let offset = narrow("span offset", from.signed("span offset")?)?;
            let length = from.varint("span length")?;
            let length = u32::try_from(length)
                .map_err(|_| ChunkError::Field { field: "span length", value: length })?;
            side.spans.push(Span { offset, length });
        }
        side.len = match length {
            true => from.count("counts", usize::MAX)?,
            false => named(&side.spans).unwrap_or(usize::MAX),
        };
        // Each is in a column of its own, which takes two bytes at least.
        if side.len > from.len() / 2 {
            let (claimed, limit) = (side.len as u64, from.len() as u64 / 2);
            return Err(ChunkError::TooMany { claimed, limit });
        }
        Ok(side)
    }
}

/// A signed number of 32 bits.
fn narrow(field: &'static str, value: i64) -> Result<i32, ChunkError> {
    i32::try_from(value).map_err(|_| ChunkError::Field { field, value: value as u64 })
}
