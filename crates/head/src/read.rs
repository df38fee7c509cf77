//! What reads return: a snapshot of the matching series, coded lazily.
//!
//! A snapshot is taken under one short lock together with `released_at`; what
//! it holds stays readable whatever is written, sealed or dropped meanwhile.

use varve_block::EncodedSeries;
use varve_model::{Exemplar, FloatSamples, HistogramSamples, Labels, Metadata};

use crate::Result;

/// The answer to a select. Iterating codes open buffers and reads sealed files
/// (it blocks), one series at a time, so that memory stays bounded.
pub struct HeadRead {
    /// The highest catalog version whose commit let this head drop samples of
    /// the tenant; a reader that pinned an older one must pin anew. 0 = none.
    pub released_at: u64,
}

impl HeadRead {
    /// How many series the answer has.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Iterator for HeadRead {
    type Item = Result<EncodedSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// A sorted answer with the seam's version, see [`HeadRead::released_at`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadAnswer<T> {
    /// See [`HeadRead::released_at`].
    pub released_at: u64,
    /// What was asked for.
    pub values: Vec<T>,
}

/// A series with its exemplars, sorted by time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// Who they belong to.
    pub labels: Labels,
    /// The exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// What one metric family says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyMetadata {
    /// The family's name.
    pub metric: String,
    /// What it says.
    pub metadata: Metadata,
}

/// One series of a cut: merged samples, sorted by time, nothing twice.
#[derive(Clone, Debug, PartialEq)]
pub struct CutSeries {
    /// Who.
    pub labels: Labels,
    /// Float samples.
    pub floats: FloatSamples,
    /// Histograms.
    pub histograms: HistogramSamples,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// The series of one tenant in one cut, in block order. Iterating reads sealed
/// files (it blocks), one series at a time.
pub struct CutRead {}

impl Iterator for CutRead {
    type Item = Result<CutSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
