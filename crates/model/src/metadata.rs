//! What a metric family says of itself: type, help, unit.

use std::sync::Arc;

/// The kind of a metric family, as exposition formats know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum MetricType {
    /// Not said.
    #[default]
    Unknown = 0,
    /// Only goes up, but for resets.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Buckets of observations.
    Histogram = 3,
    /// Buckets that go up and down.
    GaugeHistogram = 4,
    /// Quantiles computed by the client.
    Summary = 5,
    /// Labels about the target, value 1.
    Info = 6,
    /// One of several states.
    StateSet = 7,
}

impl MetricType {
    /// All kinds, in the order of their numbers (those of remote write).
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    /// The name in Prometheus' metadata API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// The kind with this number, `Unknown` for numbers of the future.
    pub fn from_number(n: i32) -> Self {
        usize::try_from(n).ok().and_then(|n| Self::ALL.get(n).copied()).unwrap_or_default()
    }
}

/// Type, help and unit of one metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metadata {
    /// The family's kind.
    pub kind: MetricType,
    /// A sentence for people.
    pub help: Arc<str>,
    /// The unit, empty when not said.
    pub unit: Arc<str>,
}
