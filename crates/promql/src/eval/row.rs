//! What operators pass on: batches of rows, a row being one series with one
//! cell a step.
//!
//! A cell without a sample holds the stale marker: selectors remove stale
//! samples and arithmetic only makes quiet NaNs, so it can never be a value.

use std::sync::Arc;

use smallvec::SmallVec;
use varve_model::{Histogram, Labels, is_metadata_label, is_stale, stale_nan};

use super::context::Hold;

/// The float cells of a row.
pub(crate) type Floats = SmallVec<[f64; 4]>;

/// The histogram cells of a row that has any.
pub(crate) type Histograms = Box<[Option<Arc<Histogram>>]>;

/// What a cell without a float holds.
pub(crate) fn absent() -> f64 {
    stale_nan()
}

/// Whether a float cell is empty.
pub(crate) fn is_absent(v: f64) -> bool {
    is_stale(v)
}

/// One series, one cell a step.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who.
    pub(crate) labels: Labels,
    /// Whether the name is to be dropped at the end of the query.
    pub(crate) drop_name: bool,
    /// A cell a step; that of a histogram is absent here.
    pub(crate) floats: Floats,
    /// A cell a step, when there is any histogram.
    pub(crate) histograms: Option<Histograms>,
}

/// The sample of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Absent,
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

impl Row {
    /// A row without samples.
    pub(crate) fn empty(labels: Labels, steps: usize) -> Self {
        let floats = SmallVec::from_elem(absent(), steps);
        Self { labels, drop_name: false, floats, histograms: None }
    }

    /// The sample at a step.
    pub(crate) fn cell(&self, step: usize) -> Cell<'_> {
        let v = self.floats[step];
        if !is_absent(v) {
            return Cell::Float(v);
        }
        match self.histograms.as_ref().and_then(|h| h[step].as_ref()) {
            Some(h) => Cell::Histogram(h),
            None => Cell::Absent,
        }
    }

    /// Whether there is a sample at a step.
    pub(crate) fn has(&self, step: usize) -> bool {
        !is_absent(self.floats[step]) || self.has_histogram(step)
    }

    /// Whether there is a histogram at a step.
    pub(crate) fn has_histogram(&self, step: usize) -> bool {
        self.histograms.as_ref().is_some_and(|h| h[step].is_some())
    }

    /// Whether there is a histogram at any step.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.as_ref().is_some_and(|h| h.iter().any(Option::is_some))
    }

    /// Sets a histogram; the float cell has to be absent.
    pub(crate) fn set_histogram(&mut self, step: usize, h: Arc<Histogram>) {
        let steps = self.floats.len();
        self.histograms.get_or_insert_with(|| vec![None; steps].into_boxed_slice())[step] = Some(h);
    }

    /// Sets a cell.
    pub(crate) fn set(&mut self, step: usize, cell: Cell<'_>) {
        match cell {
            Cell::Absent => {}
            Cell::Float(v) => self.floats[step] = v,
            Cell::Histogram(h) => self.set_histogram(step, Arc::clone(h)),
        }
    }

    /// Removes the sample at a step.
    pub(crate) fn clear(&mut self, step: usize) {
        self.floats[step] = absent();
        if let Some(h) = &mut self.histograms {
            h[step] = None;
        }
    }

    /// Leaves what operators see of series that were merged: where a float and
    /// a histogram share a step Prometheus takes the float, and is stuck at the
    /// histogram from there on.
    pub(crate) fn hide_histograms(&mut self) {
        let Some(histograms) = &mut self.histograms else { return };
        let both = |s: &usize| histograms[*s].is_some() && !is_absent(self.floats[*s]);
        if let Some(first) = (0..self.floats.len()).find(both) {
            histograms[first..].fill(None);
        }
    }

    /// Whether there are no samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.iter().all(|v| is_absent(*v))
            && self.histograms.as_ref().is_none_or(|h| h.iter().all(Option::is_none))
    }

    /// How many samples there are; a histogram counts by its size.
    pub(crate) fn samples(&self) -> u64 {
        let floats = self.floats.iter().filter(|v| !is_absent(**v)).count();
        let histograms: usize =
            self.histograms.iter().flat_map(|h| h.iter().flatten()).map(|h| h.memory() / 16).sum();
        (floats + histograms) as u64
    }

    /// Bytes of memory behind it. Labels are counted, though often shared; a
    /// histogram that stays the same from step to step is counted once.
    pub(crate) fn memory(&self) -> usize {
        let floats = if self.floats.spilled() { self.floats.capacity() * 8 } else { 0 };
        let mut histograms = 0;
        let mut before: Option<&Arc<Histogram>> = None;
        for h in self.histograms.iter().flat_map(|h| h.iter()) {
            histograms += 8;
            if let Some(h) = h.as_ref().filter(|h| !before.is_some_and(|b| Arc::ptr_eq(b, h))) {
                histograms += h.memory();
                before = Some(h);
            }
        }
        size_of::<Self>() + self.labels.memory() + floats + histograms
    }
}

/// The labels without those that describe the metric.
pub(crate) fn without_name(labels: &Labels) -> Labels {
    match labels.iter().any(|(name, _)| is_metadata_label(name)) {
        true => labels.filter(|name| !is_metadata_label(name)),
        false => labels.clone(),
    }
}

/// Some rows, and what keeps their memory charged.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    pub(crate) hold: Hold,
}
