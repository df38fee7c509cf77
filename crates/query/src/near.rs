//! Series that this process holds itself: a querier takes them as they are,
//! without a wire between (decision 12). What others hold comes in [`frames`].
//!
//! [`frames`]: crate::frames

use tonic::{Status, async_trait};
use varve_block::EncodedSeries;
use varve_wire::v1;

use crate::stream::Frames;

/// About how many bytes a part may hold before the next one is begun. One
/// series is never split, so a part can be larger by one series.
pub const PART_BYTES: usize = 1 << 20;

/// A part of the answer to a select: whole series, still coded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SelectPart {
    /// Of a head: the version to which it last released data; otherwise 0.
    pub released_at: u64,
    /// The series.
    pub series: Vec<EncodedSeries>,
}

/// Whoever of this process holds series.
#[async_trait]
pub trait Near: Send + Sync {
    /// What the call `Store.Select` answers; of a head at least one part, which
    /// says what was released.
    ///
    /// # Errors
    /// As the call: here when the read cannot begin, in place of a part when
    /// it cannot go on.
    async fn select(&self, request: v1::SelectRequest) -> Result<Frames<SelectPart>, Status>;
}

/// Gathers series into parts of about [`PART_BYTES`].
#[derive(Debug)]
pub struct PartBuilder {
    part: SelectPart,
    bytes: usize,
    /// No part was given out yet.
    first: bool,
}

impl PartBuilder {
    /// A builder of parts that all say so.
    pub fn new(released_at: u64) -> Self {
        Self { part: SelectPart { released_at, series: Vec::new() }, bytes: 0, first: true }
    }

    /// Adds one series; returns a part when it is full.
    pub fn push(&mut self, series: EncodedSeries) -> Option<SelectPart> {
        self.bytes += series.memory();
        self.part.series.push(series);
        (self.bytes >= PART_BYTES).then(|| self.take())
    }

    /// The last part; also when there was no series at all.
    pub fn finish(mut self) -> Option<SelectPart> {
        (self.first || !self.part.series.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> SelectPart {
        (self.bytes, self.first) = (0, false);
        let next = SelectPart { released_at: self.part.released_at, series: Vec::new() };
        std::mem::replace(&mut self.part, next)
    }
}

#[cfg(test)]
mod tests {
    use varve_model::Labels;

    use super::*;

    #[test]
    fn parts_are_bounded_and_an_empty_answer_still_has_one() {
        let mut builder = PartBuilder::new(3);
        let labels = Labels::from_pairs([("a", "x".repeat(1000))]).expect("valid");
        let one = || EncodedSeries { labels: labels.clone(), chunks: Vec::new() };
        let all: Vec<SelectPart> = (0..3000).filter_map(|_| builder.push(one())).collect();
        let last = builder.finish().expect("is the rest");
        assert!(all.len() >= 2 && all.iter().chain([&last]).all(|p| p.released_at == 3));
        let bytes = |p: &SelectPart| p.series.iter().map(EncodedSeries::memory).sum::<usize>();
        assert!(all.iter().all(|p| (PART_BYTES..PART_BYTES + 2000).contains(&bytes(p))));
        let count: usize = all.iter().chain([&last]).map(|p| p.series.len()).sum();
        assert_eq!(count, 3000);

        let empty = PartBuilder::new(4).finish().expect("says what was released");
        assert_eq!(empty, SelectPart { released_at: 4, series: Vec::new() });
    }
}
