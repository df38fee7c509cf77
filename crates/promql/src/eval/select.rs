//! Instant selectors: the newest sample of each series within the lookback of
//! every step, left-open; a stale marker ends a series.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use varve_model::{Histogram, Series, is_stale};

use super::context::Context;
use super::histogram::{of_storage, stats};
use super::row::Row;
use super::stream::BatchStream;
use super::tally;
use super::work::spread;
use crate::engine::EngineError;
use crate::plan::{Grid, Node, Select};
use crate::source::{Decoded, SelectHints, SelectRequest, SeriesBatch};

/// What is taken of the sample that a step sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Its value.
    Value,
    /// Its time, in seconds.
    Time,
    /// Its start timestamp, in seconds.
    Start,
    /// The time of a float, in seconds, or a histogram as it is.
    FloatTime,
}

/// The rows of a selector.
pub(crate) fn rows<'a>(
    ctx: &'a Context<'a>,
    node: &'a Node,
    select: &'a Select,
    take: Take,
) -> BatchStream<'a> {
    let grid = node.grid;
    if grid.steps == 0 {
        return futures::stream::empty().boxed();
    }
    spread(ctx, fetch(ctx, node, select), move |batch| {
        let Decoded { series: all, charge: _charge } = batch.decode()?;
        let _room = ctx.room(all.len(), grid.steps)?;
        let mut rows = Vec::with_capacity(all.len());
        let mut counts = tally::Counts::new(grid.steps);
        let samples = all.iter().map(|s| s.len() as u64).sum();
        ctx.count_read(node.part, all.len(), samples);
        for mut series in all {
            ctx.check()?;
            if select.stats_only {
                series.histograms = stats(series.histograms, select.fetch(&grid));
            }
            let series = &series;
            if select.smoothed {
                rows.push(super::smooth::row(ctx, node, select, series));
            } else {
                let row = row(grid, select, series, take);
                counts.row(&row, take == Take::Value);
                rows.push(row);
            }
        }
        ctx.count(node.scope, &counts)?;
        ctx.batch(rows)
    })
}

/// The series of a selector.
fn fetch<'a>(
    ctx: &Context<'_>,
    node: &Node,
    select: &Select,
) -> BoxStream<'a, Result<SeriesBatch, EngineError>> {
    let (grid, budget) = (node.grid, ctx.ledger.of(node.part));
    let hints = SelectHints { step: grid.step, func: select.func, range: 0 };
    let (matchers, range) = (select.matchers.clone(), select.fetch(&grid));
    let (reads, uses) = (ctx.reads(node.part), ctx.uses(node.part));
    let request = SelectRequest { matchers, range, hints, budget, reads, uses };
    let stream = ctx.source.select(request);
    stream.map(|b| b.map_err(EngineError::from)).boxed()
}

/// Finds the newest sample for one step after another.
#[derive(Default)]
struct Cursor {
    /// Samples that the last step saw.
    seen: usize,
    /// How many of them the step before did not see.
    stride: usize,
}

impl Cursor {
    /// The newest sample up to `at`, which is not before that of the last call.
    fn newest(&mut self, times: &[i64], at: i64) -> Option<(i64, usize)> {
        // Scrapes and steps are regular: most steps go as far as the last one.
        let likely = self.seen + self.stride;
        let before = self.seen;
        if likely > before && times.get(likely - 1).is_some_and(|t| *t <= at) {
            self.seen = likely;
        }
        while times.get(self.seen).is_some_and(|t| *t <= at) {
            self.seen += 1;
        }
        self.stride = self.seen - before;
        let newest = self.seen.checked_sub(1)?;
        Some((times[newest], newest))
    }
}

/// One series on the grid.
fn row(grid: Grid, select: &Select, series: &Series, take: Take) -> Row {
    let mut row = Row::empty(series.labels.clone(), grid.steps);
    let (floats, histograms) = (&series.floats, &series.histograms);
    let (mut next_float, mut next_histogram) = (Cursor::default(), Cursor::default());
    // The histogram seen last, already with float counts.
    let mut seen: Option<(usize, Arc<Histogram>)> = None;
    for step in 0..grid.steps {
        let at = select.lookup.of(grid.time(step));
        let oldest = at.saturating_sub(select.lookback);
        let float = next_float.newest(&floats.times, at);
        let histogram = next_histogram.newest(&histograms.times, at);
        // The newer of the two is seen, and hides the other even when it is
        // too old or stale.
        let is_float = float.map(|f| f.0) > histogram.map(|h| h.0);
        let Some((t, i)) = (if is_float { float } else { histogram }) else { continue };
        // Without any lookback Prometheus still sees what is of the step's own
        // time, unless it is before all that was read.
        if t <= oldest && (t < at || step == 0) {
            continue;
        }
        if is_float {
            if !is_stale(floats.values[i]) {
                row.floats[step] = match take {
                    Take::Value => floats.values[i],
                    Take::Time | Take::FloatTime => t as f64 / 1000.0,
                    Take::Start => floats.start(i) as f64 / 1000.0,
                };
            }
        } else if !histograms.values[i].is_stale() {
            match take {
                Take::Time => row.floats[step] = t as f64 / 1000.0,
                Take::Start => row.floats[step] = histograms.start(i) as f64 / 1000.0,
                Take::Value | Take::FloatTime => {
                    let h = match seen.take() {
                        Some((before, h)) if before == i => h,
                        _ if select.stats_only => Arc::clone(&histograms.values[i]),
                        _ => of_storage(&histograms.values[i]),
                    };
                    row.set_histogram(step, Arc::clone(&h));
                    seen = Some((i, h));
                }
            }
        }
    }
    row
}
