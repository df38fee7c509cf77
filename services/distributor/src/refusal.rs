//! Samples that can never be taken: why, how many, and the first few by name.

use std::collections::BTreeMap;

use varve_wire::v1;

/// How many refusals an answer spells out.
const SHOWN: usize = 5;

/// Why samples, or a whole series, were refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Label bytes that are no labels: not UTF-8, bad references.
    InvalidLabels,
    /// No metric name, or an empty one.
    MissingMetricName,
    /// One name twice.
    DuplicateLabel,
    /// More labels than allowed.
    TooManyLabels,
    /// A label name longer than allowed.
    LabelNameTooLong,
    /// A label value longer than allowed.
    LabelValueTooLong,
    /// A sample too far in the future.
    FarFuture,
    /// A sample that retention would delete at once.
    TooOld,
    /// A histogram that contradicts itself.
    InvalidHistogram,
    /// A histogram with more buckets than allowed.
    TooManyBuckets,
    /// An exemplar with bad or long labels.
    InvalidExemplar,
    /// Metadata longer than allowed or without a name.
    InvalidMetadata,
    /// Older than the out-of-order window allows.
    OutOfOrder,
    /// Another value is there at this time.
    Duplicate,
    /// No more series for this tenant.
    SeriesLimit,
    /// A reason of the future.
    Other,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 16] = [
        Self::InvalidLabels,
        Self::MissingMetricName,
        Self::DuplicateLabel,
        Self::TooManyLabels,
        Self::LabelNameTooLong,
        Self::LabelValueTooLong,
        Self::FarFuture,
        Self::TooOld,
        Self::InvalidHistogram,
        Self::TooManyBuckets,
        Self::InvalidExemplar,
        Self::InvalidMetadata,
        Self::OutOfOrder,
        Self::Duplicate,
        Self::SeriesLimit,
        Self::Other,
    ];

    /// A stable lower-case name, for metrics, logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidLabels => "invalid_labels",
            Self::MissingMetricName => "missing_metric_name",
            Self::DuplicateLabel => "duplicate_label",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::FarFuture => "far_future",
            Self::TooOld => "too_old",
            Self::InvalidHistogram => "invalid_histogram",
            Self::TooManyBuckets => "too_many_buckets",
            Self::InvalidExemplar => "invalid_exemplar",
            Self::InvalidMetadata => "invalid_metadata",
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate_timestamp",
            Self::SeriesLimit => "series_limit",
            Self::Other => "other",
        }
    }

    /// The setting behind it, if there is one.
    pub fn setting(self) -> Option<&'static str> {
        match self {
            Self::TooManyLabels => Some("max_label_names_per_series"),
            Self::LabelNameTooLong => Some("max_label_name_length"),
            Self::LabelValueTooLong => Some("max_label_value_length"),
            Self::FarFuture => Some("creation_grace_period"),
            Self::TooOld => Some("retention"),
            Self::TooManyBuckets => Some("max_native_histogram_buckets"),
            Self::InvalidMetadata => Some("max_metadata_length"),
            Self::OutOfOrder => Some("out_of_order_window"),
            Self::SeriesLimit => Some("max_series"),
            _ => None,
        }
    }

    /// The reason that a head gave.
    pub(crate) fn of_head(reason: i32) -> Self {
        match v1::refusal::Reason::try_from(reason) {
            Ok(v1::refusal::Reason::OutOfOrder) => Self::OutOfOrder,
            Ok(v1::refusal::Reason::Duplicate) => Self::Duplicate,
            Ok(v1::refusal::Reason::SeriesLimit) => Self::SeriesLimit,
            Ok(v1::refusal::Reason::TooOld) => Self::TooOld,
            Ok(v1::refusal::Reason::Unspecified) | Err(_) => Self::Other,
        }
    }
}

/// One refusal that an answer spells out.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    /// Which series of the request; `None` when it is not about a series.
    pub(crate) ordinal: Option<u32>,
    /// The first refused sample's time.
    pub(crate) time: Option<i64>,
    /// Value and limit, for people.
    pub(crate) detail: String,
}

/// All that was refused of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) counts: BTreeMap<Reason, u64>,
    pub(crate) first: Vec<Refused>,
}

impl Refusals {
    /// Counts `count` samples of a series; the text, which names value and
    /// limit, is made only for the first few.
    pub(crate) fn add(
        &mut self,
        reason: Reason,
        count: u64,
        (ordinal, time): (Option<u32>, Option<i64>),
        detail: impl FnOnce() -> String,
    ) {
        *self.counts.entry(reason).or_default() += count;
        if self.first.len() < SHOWN {
            self.first.push(Refused { reason, ordinal, time, detail: detail() });
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (reason, count) in other.counts {
            *self.counts.entry(reason).or_default() += count;
        }
        let room = SHOWN.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
