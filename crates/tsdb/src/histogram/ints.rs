//! Integer counts: the count of each bucket is its difference to the bucket
//! before it, and of that, as of all others, the difference of differences.

use varve_model::{Counts, Histogram, HistogramSamples};

use super::layout::{Layout, names};
use super::{Gather, Sample, Times};
use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};
use crate::varbit;
use crate::xor::Xor;

/// A column of integers, as its last one left it.
#[derive(Clone, Copy, Default)]
struct Column {
    last: i64,
    step: i64,
}

impl Column {
    fn first(value: i64) -> Self {
        Self { last: value, step: 0 }
    }

    fn put(&mut self, out: &mut BitWriter, value: i64) {
        let step = value.wrapping_sub(self.last);
        varbit::put_int(out, step.wrapping_sub(self.step));
        *self = Self { last: value, step };
    }

    fn read(&mut self, bits: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.step = self.step.wrapping_add(varbit::int(bits)?);
        self.last = self.last.wrapping_add(self.step);
        Ok(())
    }
}

/// The integer counts of a histogram: count, zero, and the buckets of both
/// sides as differences.
struct Ints {
    count: u64,
    zero: u64,
    buckets: Vec<i64>,
}

impl Ints {
    fn of(time: i64, h: &Histogram) -> Result<Self, ChunkError> {
        let Counts::Int { count, zero, positive, negative } = &h.counts else {
            return Err(ChunkError::Irregular(time));
        };
        if h.is_stale() {
            return Ok(Self { count: 0, zero: 0, buckets: Vec::new() });
        }
        if !names(&h.positive_spans, positive.len()) || !names(&h.negative_spans, negative.len()) {
            return Err(ChunkError::Irregular(time));
        }
        let mut buckets = Vec::with_capacity(positive.len() + negative.len());
        for side in [positive, negative] {
            let before = std::iter::once(&0).chain(side);
            buckets.extend(side.iter().zip(before).map(|(c, b)| c.wrapping_sub(*b) as i64));
        }
        Ok(Self { count: *count, zero: *zero, buckets })
    }
}

pub(super) fn encode(run: &[Sample<'_>], out: &mut BitWriter) -> Result<(), ChunkError> {
    let mut samples = run.iter();
    let Some(&(time, h)) = samples.next() else { return Ok(()) };
    let first = Ints::of(time, h)?;
    let stale = super::stale(&h.counts);
    Layout::put(if h.is_stale() { &stale } else { h }, out);
    let mut times = Times::default();
    times.put_first(out, time);
    varbit::put_uint(out, first.count);
    varbit::put_uint(out, first.zero);
    out.bits(h.sum.to_bits(), 64);
    first.buckets.iter().for_each(|b| varbit::put_int(out, *b));
    let mut count = Column::first(first.count as i64);
    let mut zero = Column::first(first.zero as i64);
    let mut sum = Xor::first(h.sum);
    let mut buckets: Vec<Column> = first.buckets.into_iter().map(Column::first).collect();
    for &(time, h) in samples {
        times.put(out, time);
        if h.is_stale() {
            // Nothing but markers follows, so what the counts were is no matter.
            out.bits(0, 2);
            sum.put(out, h.sum);
            continue;
        }
        let ints = Ints::of(time, h)?;
        count.put(out, ints.count as i64);
        zero.put(out, ints.zero as i64);
        sum.put(out, h.sum);
        buckets.iter_mut().zip(ints.buckets).for_each(|(column, b)| column.put(out, b));
    }
    Ok(())
}

/// Reads histograms with integer counts back.
pub(crate) fn decode(data: &[u8]) -> Result<HistogramSamples, ChunkError> {
    let (mut gather, samples, mut bits) = Gather::open(data)?;
    if samples == 0 {
        return Ok(gather.samples);
    }
    let mut times = Times::default();
    let mut time = times.read_first(&mut bits)?;
    let mut count = Column::first(varbit::uint(&mut bits)? as i64);
    let mut zero = Column::first(varbit::uint(&mut bits)? as i64);
    let mut sum = Xor::first(f64::from_bits(bits.bits(64)?));
    let (positive, negative) = gather.layout.buckets(&bits)?;
    let mut buckets = Vec::with_capacity(positive + negative);
    for _ in 0..positive + negative {
        buckets.push(Column::first(varbit::int(&mut bits)?));
    }
    for i in 0..samples {
        if i > 0 {
            time = times.read(&mut bits)?;
            count.read(&mut bits)?;
            zero.read(&mut bits)?;
            sum.read(&mut bits)?;
            if !varve_model::is_stale(sum.value()) {
                buckets.iter_mut().try_for_each(|b| b.read(&mut bits))?;
            }
        }
        let (p, n) = buckets.split_at(positive);
        let counts = Counts::Int {
            count: count.last as u64,
            zero: zero.last as u64,
            positive: absolute(p),
            negative: absolute(n),
        };
        gather.push(time, sum.value(), counts)?;
    }
    Ok(gather.samples)
}

/// Counts from differences.
fn absolute(buckets: &[Column]) -> Vec<u64> {
    let mut count = 0_i64;
    let next = |b: &Column| {
        count = count.wrapping_add(b.last);
        count as u64
    };
    buckets.iter().map(next).collect()
}
