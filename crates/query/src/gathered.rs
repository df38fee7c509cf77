//! What a select has gathered: coded series as they came, and which of them
//! are one series. Chunks stay where they are until they are decoded.

use std::ops::Range;
use std::sync::Arc;

use futures::future::FutureExt;
use varve_block::{ChunkKind, EncodedChunk, EncodedSeries, merge::Merger};
use varve_model::{LabelMap, Labels, Series, TimeRange};
use varve_promql::order::sorted;
use varve_promql::source::{Charge, Decoded, MemoryBudget, SeriesBatch};

use crate::QueryError;

/// Series that are sorted in before it is looked whether anybody waits: a read
/// that nobody waits for ends wherever it waits itself.
const SERIES_IN_ONE_GO: usize = 1 << 12;
/// What it takes to find out which series a coded one is of, in bytes.
const PLACE_BYTES: usize = 64;
/// How many floats a histogram is work for, about.
const HISTOGRAM_WORK: usize = 16;
/// Batches that are made of what would fit into fewer.
const BATCHES: usize = 8;
/// A batch of fewer samples is not worth another thread.
const LEAST_WORK: usize = 1 << 13;

/// Series in the parts in which they came.
pub(crate) type Parts = Vec<Vec<EncodedSeries>>;

/// Where a coded series is: its part, and its place in it.
type Place = (u32, u32);

/// Coded series, each with all that came of it, in the order of labels, and
/// the memory that they are charged with.
pub(crate) struct Gathered {
    parts: Parts,
    /// Grouped by series.
    places: Vec<Place>,
    /// Of each series, those of its places.
    series: Vec<Range<usize>>,
    _charges: Vec<Charge>,
}

impl Gathered {
    /// Finds out which are one series, and sorts: in one order for all selects,
    /// so that what depends on order (`limitk`, ties, the last digit of a sum)
    /// is the same whenever it is asked, and within one query.
    pub(crate) async fn new(
        parts: Parts,
        mut charges: Vec<Charge>,
        budget: &Arc<dyn MemoryBudget>,
    ) -> Result<Self, QueryError> {
        let count: usize = parts.iter().map(Vec::len).sum();
        charges.push(Charge::take(budget, count * PLACE_BYTES)?);
        let (numbers, known) = number(&parts).await?;
        let (places, ranges) = group(&parts, &numbers, known.len());
        let series = known.into_iter().map(|(labels, n)| (labels, ranges[n as usize].clone()));
        let series = sorted(series.collect(), |a, b| a.0.cmp(&b.0), pause).await?;
        let series = series.into_iter().map(|(_, places)| places).collect();
        Ok(Self { parts, places, series, _charges: charges })
    }

    /// Batches of a bounded number of samples, each decoded by whoever takes
    /// it. Of few samples they are smaller, so that there is one for each of
    /// several threads.
    pub(crate) fn batches(
        self: Arc<Self>,
        range: TimeRange,
        limit: usize,
        budget: Arc<dyn MemoryBudget>,
    ) -> impl Iterator<Item = SeriesBatch> + Send + use<> {
        let all: usize = (0..self.series.len()).flat_map(|s| self.chunks(s)).map(work).sum();
        let limit = (all / BATCHES).max(LEAST_WORK).min(limit);
        let mut next = 0;
        std::iter::from_fn(move || {
            let (first, mut samples) = (next, 0);
            while samples < limit && next < self.series.len() {
                samples += self.chunks(next).map(work).sum::<usize>();
                next += 1;
            }
            let (gathered, budget, some) = (Arc::clone(&self), Arc::clone(&budget), first..next);
            (!some.is_empty())
                .then(|| SeriesBatch::later(move || Ok(gathered.decode(some, range, &budget)?)))
        })
    }

    fn coded(&self, series: usize) -> impl Iterator<Item = &EncodedSeries> + Clone {
        let places = &self.places[self.series[series].clone()];
        places.iter().map(|(part, at)| &self.parts[*part as usize][*at as usize])
    }

    fn labels(&self, series: usize) -> Option<&Labels> {
        self.coded(series).next().map(|one| &one.labels)
    }

    fn chunks(&self, series: usize) -> impl Iterator<Item = &EncodedChunk> + Clone {
        self.coded(series).flat_map(|one| &one.chunks)
    }

    /// Series with their samples in `range`; those without any are left out.
    fn decode(
        &self,
        some: Range<usize>,
        range: TimeRange,
        budget: &Arc<dyn MemoryBudget>,
    ) -> Result<Decoded, QueryError> {
        // Charged before it is allocated: 16 bytes a sample, 24 with start timestamps.
        let count: usize =
            some.clone().flat_map(|s| self.chunks(s)).map(|c| c.count as usize).sum();
        let labels: usize = some.clone().map(|s| self.labels(s).map_or(0, Labels::memory)).sum();
        let mut charge = Charge::take(budget, 24 * count + labels)?;
        let (mut out, mut merger) = (Vec::with_capacity(some.len()), Merger::default());
        for series in some {
            let labels = self.labels(series).cloned().unwrap_or_default();
            let (floats, histograms) = merger.merge(self.chunks(series), range)?;
            if !histograms.is_empty() {
                charge.grow(histograms.memory())?;
            }
            if !floats.is_empty() || !histograms.is_empty() {
                out.push(Series { labels, floats, histograms });
            }
        }
        Ok(Decoded { series: out, charge })
    }
}

/// Looks whether anybody waits.
fn pause() -> impl Future<Output = Result<(), QueryError>> {
    tokio::task::yield_now().map(Ok)
}

/// Numbers series in the order in which they first came: of each coded series
/// the number, and of each series.
async fn number(parts: &Parts) -> Result<(Vec<u32>, LabelMap<u32>), QueryError> {
    let mut known: LabelMap<u32> = LabelMap::default();
    let mut numbers = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for some in parts.iter().flat_map(|part| part.chunks(SERIES_IN_ONE_GO)) {
        pause().await?;
        for one in some {
            let next = known.len() as u32;
            let number = known.get(&one.labels).copied().unwrap_or(next);
            if number == next {
                known.insert(one.labels.clone(), next);
            }
            numbers.push(number);
        }
    }
    Ok((numbers, known))
}

/// The places of all coded series grouped by number, and the group of each of
/// `count` numbers. Within a group they stay in order.
fn group(parts: &Parts, numbers: &[u32], count: usize) -> (Vec<Place>, Vec<Range<usize>>) {
    let mut sizes = vec![0; count];
    numbers.iter().for_each(|n| sizes[*n as usize] += 1);
    let mut groups = Vec::with_capacity(count);
    let mut start = 0;
    for size in sizes {
        groups.push(start..start);
        start += size;
    }
    let within = |(part, all): (u32, &Vec<_>)| (0..all.len() as u32).map(move |at| (part, at));
    let mut places = vec![(0, 0); numbers.len()];
    for (place, number) in (0..).zip(parts).flat_map(within).zip(numbers) {
        let group = &mut groups[*number as usize];
        places[group.end] = place;
        group.end += 1;
    }
    (places, groups)
}

/// What it takes to decode a chunk, in floats.
fn work(chunk: &EncodedChunk) -> usize {
    let count = chunk.count as usize;
    match chunk.kind {
        ChunkKind::Float => count,
        ChunkKind::Histogram => HISTOGRAM_WORK * count,
    }
}
