//! The histogram message, which both protocols share (2.0 adds the start
//! timestamp). Bucket deltas become absolute counts here.

use varve_model::{Counts, Histogram, HistogramError, ResetHint, Span};

use super::fields::{Fields, unzigzag32};
use super::{Budget, DecodeError, RawHistogram};
use crate::varint::unzigzag;

/// The fields as they come, before it is known which kind it is.
#[derive(Default)]
struct Parts {
    float: bool,
    count_int: u64,
    count_float: f64,
    zero_int: u64,
    zero_float: f64,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    negative_spans: Vec<Span>,
    negative_deltas: Vec<i64>,
    negative_counts: Vec<f64>,
    positive_spans: Vec<Span>,
    positive_deltas: Vec<i64>,
    positive_counts: Vec<f64>,
    hint: i32,
    time: i64,
    custom_bounds: Vec<f64>,
    start: i64,
}

pub(super) fn read(
    bytes: &[u8],
    base: usize,
    budget: &mut Budget,
) -> Result<RawHistogram, DecodeError> {
    budget.take(size_of::<RawHistogram>() + 32)?;
    let mut p = Parts::default();
    let mut fields = Fields::new(bytes, base, "histogram");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => (p.float, p.count_int) = (false, field.varint()?),
            2 => (p.float, p.count_float) = (true, field.double()?),
            3 => p.sum = field.double()?,
            4 => p.schema = field.sint32()?,
            5 => p.zero_threshold = field.double()?,
            6 => p.zero_int = field.varint()?,
            7 => p.zero_float = field.double()?,
            8 => p.negative_spans.push(span(field.bytes()?, budget)?),
            9 => field.varints(|v| push(&mut p.negative_deltas, unzigzag(v), budget))?,
            10 => field.doubles(&mut p.negative_counts, |n| budget.take(n))?,
            11 => p.positive_spans.push(span(field.bytes()?, budget)?),
            12 => field.varints(|v| push(&mut p.positive_deltas, unzigzag(v), budget))?,
            13 => field.doubles(&mut p.positive_counts, |n| budget.take(n))?,
            14 => p.hint = field.int32()?,
            15 => p.time = field.int64()?,
            16 => field.doubles(&mut p.custom_bounds, |n| budget.take(n))?,
            17 => p.start = field.int64()?,
            _ => {}
        }
    }
    Ok(RawHistogram { time: p.time, start: p.start, value: p.finish() })
}

fn push(out: &mut Vec<i64>, v: i64, budget: &mut Budget) -> Result<(), DecodeError> {
    budget.take(size_of::<i64>())?;
    out.push(v);
    Ok(())
}

fn span((bytes, base): (&[u8], usize), budget: &mut Budget) -> Result<Span, DecodeError> {
    budget.take(size_of::<Span>())?;
    let mut fields = Fields::new(bytes, base, "bucket span");
    let mut span = Span { offset: 0, length: 0 };
    while let Some(field) = fields.next()? {
        match field.number {
            1 => span.offset = unzigzag32(field.varint()? as u32),
            2 => span.length = field.varint()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

impl Parts {
    fn finish(self) -> Result<Histogram, HistogramError> {
        let counts = if self.float {
            Counts::Float {
                count: self.count_float,
                zero: self.zero_float,
                positive: self.positive_counts,
                negative: self.negative_counts,
            }
        } else {
            Counts::Int {
                count: self.count_int,
                zero: self.zero_int,
                positive: absolute("positive", &self.positive_deltas)?,
                negative: absolute("negative", &self.negative_deltas)?,
            }
        };
        let reset_hint = match self.hint {
            1 => ResetHint::CounterReset,
            2 => ResetHint::NotCounterReset,
            3 => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        };
        Ok(Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            reset_hint,
            positive_spans: self.positive_spans,
            negative_spans: self.negative_spans,
            custom_bounds: self.custom_bounds,
            counts,
        })
    }
}

/// Sums up bucket deltas; no bucket may fall below zero.
fn absolute(side: &'static str, deltas: &[i64]) -> Result<Vec<u64>, HistogramError> {
    let mut sum = 0i64;
    let mut out = Vec::with_capacity(deltas.len());
    for (index, delta) in deltas.iter().enumerate() {
        sum = sum.wrapping_add(*delta);
        let bad = HistogramError::NegativeCount { side, index, count: sum as f64 };
        out.push(u64::try_from(sum).map_err(|_| bad)?);
    }
    Ok(out)
}
