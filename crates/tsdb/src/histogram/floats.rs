//! Float counts: every count is a column of floats coded like values.

use varve_model::{Counts, Histogram, HistogramSamples};

use super::layout::{Layout, names};
use super::{Gather, Sample, Times};
use crate::ChunkError;
use crate::bits::BitWriter;
use crate::xor::Xor;

/// All numbers of a histogram in the order in which they are written: count,
/// zero, sum, and the buckets of both sides.
fn numbers(time: i64, h: &Histogram) -> Result<Vec<f64>, ChunkError> {
    let Counts::Float { count, zero, positive, negative } = &h.counts else {
        return Err(ChunkError::Irregular(time));
    };
    if h.is_stale() {
        return Ok(vec![0.0, 0.0, h.sum]);
    }
    if !names(&h.positive_spans, positive.len()) || !names(&h.negative_spans, negative.len()) {
        return Err(ChunkError::Irregular(time));
    }
    let mut all = vec![*count, *zero, h.sum];
    all.extend(positive);
    all.extend(negative);
    Ok(all)
}

pub(super) fn encode(run: &[Sample<'_>], out: &mut BitWriter) -> Result<(), ChunkError> {
    let mut samples = run.iter();
    let Some(&(time, h)) = samples.next() else { return Ok(()) };
    let first = numbers(time, h)?;
    let stale = super::stale(&h.counts);
    Layout::put(if h.is_stale() { &stale } else { h }, out);
    let mut times = Times::default();
    times.put_first(out, time);
    first.iter().for_each(|v| out.bits(v.to_bits(), 64));
    let mut columns: Vec<Xor> = first.into_iter().map(Xor::first).collect();
    for &(time, h) in samples {
        times.put(out, time);
        columns.iter_mut().zip(numbers(time, h)?).for_each(|(column, v)| column.put(out, v));
    }
    Ok(())
}

/// Reads histograms with float counts back.
pub(crate) fn decode(data: &[u8]) -> Result<HistogramSamples, ChunkError> {
    let (mut gather, samples, mut bits) = Gather::open(data)?;
    if samples == 0 {
        return Ok(gather.samples);
    }
    let mut times = Times::default();
    let mut time = times.read_first(&mut bits)?;
    let (positive, negative) = gather.layout.buckets(&bits)?;
    let mut columns = Vec::new();
    for _ in 0..3 + positive + negative {
        columns.push(Xor::first(f64::from_bits(bits.bits(64)?)));
    }
    for i in 0..samples {
        if i > 0 {
            time = times.read(&mut bits)?;
            let (scalars, buckets) = columns.split_at_mut(3);
            scalars.iter_mut().try_for_each(|c| c.read(&mut bits))?;
            if !varve_model::is_stale(scalars[2].value()) {
                buckets.iter_mut().try_for_each(|c| c.read(&mut bits))?;
            }
        }
        let (scalars, buckets) = columns.split_at(3);
        let (p, n) = buckets.split_at(positive);
        let values = |columns: &[Xor]| columns.iter().map(Xor::value).collect();
        let counts = Counts::Float {
            count: scalars[0].value(),
            zero: scalars[1].value(),
            positive: values(p),
            negative: values(n),
        };
        gather.push(time, scalars[2].value(), counts)?;
    }
    Ok(gather.samples)
}
