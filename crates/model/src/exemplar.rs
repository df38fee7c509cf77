//! A pointer from a sample to a trace.

use crate::Labels;

/// One exemplar: its own labels (usually a trace id), a value and a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The exemplar's labels, apart from those of its series.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}
