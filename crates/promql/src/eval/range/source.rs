//! The samples of ranges: stored series without stale markers, or the rows of
//! a subquery.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use varve_model::{FloatSamples, Histogram, HistogramSamples, Labels, ResetHint, Series, is_stale};

use super::super::context::{Context, Hold};
use super::super::histogram::{of_storage, stats};
use super::super::row::{Batch, Row, is_absent};
use crate::engine::EngineError;
use crate::plan::{Grid, RangeFrom, RangeSource};
use crate::source::{Charge, Decoded, SelectHints, SelectRequest, SeriesBatch};

/// One series and its samples, stale markers removed, histograms with float counts.
#[derive(Debug)]
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    /// Whether the name is to be dropped already.
    pub(crate) drop_name: bool,
    pub(crate) floats: FloatSamples,
    pub(crate) histograms: HistogramSamples,
}

impl RangeSeries {
    /// Bytes of memory behind it.
    pub(crate) fn memory(&self) -> usize {
        self.labels.memory() + self.floats.memory() + self.histograms.memory()
    }
}

/// Some series, and what keeps their memory charged.
pub(crate) struct RangeBatch {
    pub(crate) series: Vec<RangeSeries>,
    _charge: Option<Charge>,
    _hold: Hold,
}

/// What the series of a range are made of.
pub(crate) enum Piece {
    /// Stored series.
    Stored(SeriesBatch),
    /// Rows of a subquery.
    Rows(Batch),
}

/// The pieces of a range on a grid.
pub(crate) fn pieces<'a>(
    ctx: &'a Context<'a>,
    grid: Grid,
    source: &'a RangeSource,
) -> BoxStream<'a, Result<Piece, EngineError>> {
    if grid.steps == 0 {
        return futures::stream::empty().boxed();
    }
    let pieces = match &source.from {
        RangeFrom::Series { matchers, stats_only: _, func } => {
            let hints = SelectHints { step: grid.step, func: *func, range: source.range };
            let range = source.fetch(&grid);
            let (matchers, budget) = (matchers.clone(), ctx.ledger.of(source.part));
            let (reads, uses) = (ctx.reads(source.part), ctx.uses(source.part));
            let request = SelectRequest { matchers, range, hints, budget, reads, uses };
            let stream = ctx.source.select(request).map_ok(Piece::Stored);
            stream.map_err(EngineError::from).boxed()
        }
        RangeFrom::Subquery(node) => super::super::series(ctx, node).map_ok(Piece::Rows).boxed(),
    };
    match ctx.meter(source.part) {
        Some(meter) => meter.watch(pieces).boxed(),
        None => pieces,
    }
}

/// The series of a range on a grid.
pub(crate) fn series<'a>(
    ctx: &'a Context<'a>,
    grid: Grid,
    source: &'a RangeSource,
) -> BoxStream<'a, Result<RangeBatch, EngineError>> {
    pieces(ctx, grid, source).map(move |piece| piece?.series(ctx, grid, source)).boxed()
}

impl Piece {
    /// The series of a piece.
    pub(crate) fn series(
        self,
        ctx: &Context<'_>,
        grid: Grid,
        source: &RangeSource,
    ) -> Result<RangeBatch, EngineError> {
        match (self, &source.from) {
            (Self::Rows(batch), RangeFrom::Subquery(node)) => {
                let samples: u64 = batch.rows.iter().map(Row::samples).sum();
                let hold = ctx.hold(samples.saturating_mul(16) as usize, samples)?;
                if let Some(meter) = ctx.meter(source.part) {
                    meter.count(batch.rows.len(), samples);
                }
                let of = |row| ctx.check().map(|()| of_row(node.grid, row));
                let series = batch.rows.into_iter().map(of).collect::<Result<_, _>>()?;
                Ok(RangeBatch { series, _charge: None, _hold: hold })
            }
            (Self::Stored(batch), RangeFrom::Series { stats_only, .. }) => {
                let Decoded { series, charge } = batch.decode()?;
                let samples: u64 = series.iter().map(|s| s.len() as u64).sum();
                let hold = ctx.hold(0, samples)?;
                let range = source.fetch(&grid);
                ctx.count_read(source.part, series.len(), samples);
                let of = |s: Series| {
                    ctx.check()?;
                    let (labels, drop_name) = (s.labels, false);
                    let floats = without_stale(s.floats);
                    let histograms = match stats_only {
                        true => without_stale_histograms(stats(s.histograms, range), Arc::clone),
                        false => without_stale_histograms(s.histograms, of_storage),
                    };
                    Ok(RangeSeries { labels, drop_name, floats, histograms })
                };
                let series = series.into_iter().map(of).collect::<Result<_, EngineError>>()?;
                Ok(RangeBatch { series, _charge: Some(charge), _hold: hold })
            }
            (Self::Rows(_), RangeFrom::Series { .. })
            | (Self::Stored(_), RangeFrom::Subquery(_)) => {
                Err(EngineError::invalid("a range of something else"))
            }
        }
    }
}

fn without_stale(floats: FloatSamples) -> FloatSamples {
    if !floats.values.iter().any(|v| is_stale(*v)) {
        return floats;
    }
    let mut kept = FloatSamples::default();
    for i in 0..floats.len() {
        if !is_stale(floats.values[i]) {
            kept.push(floats.times[i], floats.values[i], floats.start(i));
        }
    }
    kept
}

fn without_stale_histograms(
    histograms: HistogramSamples,
    of: impl Fn(&Arc<Histogram>) -> Arc<Histogram>,
) -> HistogramSamples {
    let mut kept = HistogramSamples::default();
    for (i, h) in histograms.values.iter().enumerate() {
        if !h.is_stale() {
            kept.push(histograms.times[i], of(h), histograms.start(i));
        }
    }
    kept
}

fn of_row(grid: Grid, row: Row) -> RangeSeries {
    let mut floats = FloatSamples::default();
    for (step, v) in row.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
        floats.push(grid.time(step), *v, 0);
    }
    let mut histograms = HistogramSamples::default();
    for (step, h) in row.histograms.iter().flat_map(|h| h.iter().enumerate()) {
        if let Some(h) = h {
            histograms.push(grid.time(step), without_verdict(h), 0);
        }
    }
    RangeSeries { labels: row.labels, drop_name: row.drop_name, floats, histograms }
}

/// What a histogram says of a reset before it is not true of the sample before
/// it in a subquery.
fn without_verdict(h: &Arc<Histogram>) -> Arc<Histogram> {
    match h.reset_hint {
        ResetHint::Unknown | ResetHint::Gauge => Arc::clone(h),
        ResetHint::CounterReset | ResetHint::NotCounterReset => {
            Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..(**h).clone() })
        }
    }
}
