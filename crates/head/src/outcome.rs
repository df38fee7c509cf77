//! What became of an append: the answer to a sender.
//!
//! Mirrors `varve.v1.AppendResponse`; positions are those of the series in
//! the batch as it was sent.

/// Why something was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// Older than the out-of-order window allows.
    OutOfOrder,
    /// Another value is already there at this time.
    Duplicate,
    /// The tenant may have no more series.
    SeriesLimit,
    /// At the end of time, where no window can hold it.
    TooOld,
}

impl RefusalReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::OutOfOrder, Self::Duplicate, Self::SeriesLimit, Self::TooOld];

    /// A stable lower-case name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::SeriesLimit => "series_limit",
            Self::TooOld => "too_old",
        }
    }
}

/// What was refused of one series for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// Position in the batch's series.
    pub series: u32,
    /// The first refused sample's time; `None` when the whole series is refused.
    pub timestamp: Option<i64>,
    /// How many samples and exemplars.
    pub count: u32,
    /// For people: the limit and what it was compared with.
    pub detail: String,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Positions in the batch's series whose reference is not known. When
    /// there are any, nothing was applied.
    pub unknown: Vec<u32>,
    /// References of the batch's new series, in their order; 0 = refused.
    pub references: Vec<u64>,
    /// What was refused for good; everything else is durable.
    pub refusals: Vec<Refusal>,
    /// Float samples that were new, or there already with the same value.
    pub samples: u64,
    /// The same of histograms.
    pub histograms: u64,
    /// The same of exemplars.
    pub exemplars: u64,
}
