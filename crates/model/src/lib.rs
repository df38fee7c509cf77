//! What a metric is: labels, matchers, samples, histograms, exemplars,
//! tenants and time. Pure values: no I/O, no async, no clock.
//!
//! Everything that crosses a crate boundary in Varve is made of these types,
//! so that a sample means the same in the log, a block, and an answer.

mod error;
mod exemplar;
mod histogram;
mod labels;
mod matcher;
mod metadata;
mod sample;
mod tenant;
mod time;

pub use error::ErrorKind;
pub use exemplar::Exemplar;
pub use histogram::{
    CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, HistogramError, MAX_EXPONENTIAL_SCHEMA,
    MIN_EXPONENTIAL_SCHEMA, ResetHint, Span,
};
pub use labels::{
    LabelMap, LabelSet, Labels, LabelsBuilder, LabelsError, METRIC_NAME, is_metadata_label,
};
pub use matcher::{MatchOp, Matcher, MatcherError, compile_regex};
pub use metadata::{Metadata, MetricType};
pub use sample::{FloatSamples, HistogramSamples, STALE_NAN_BITS, Series, is_stale, stale_nan};
pub use tenant::{TenantError, TenantId};
pub use time::{TimeRange, WINDOW_MS, window_end};
