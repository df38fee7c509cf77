//! One series as it lies in a request, and what may be wrong with one while
//! its neighbours are fine.

use varve_model::{
    Histogram, HistogramError, Labels, LabelsError, METRIC_NAME, Metadata, MetricType,
};

use crate::batch::Samples;

use super::fields::Fields;
use super::{Budget, DecodeError};

/// What is wrong with one series or exemplar, but not with the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesFault {
    /// Label references come in pairs.
    #[error("has {0} label references, an odd number")]
    OddReferences(usize),
    /// A reference to a symbol that is not there.
    #[error("refers to symbol {reference} but the request has {symbols}")]
    NoSuchSymbol {
        /// The reference.
        reference: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// A label message that is damaged.
    #[error("has a label that is not a protobuf message")]
    MalformedLabel,
    /// A name or value that is not text.
    #[error("has a label name or value that is not UTF-8: {0:?}")]
    NotUtf8(String),
    /// Pairs that are not a label set.
    #[error("{0}")]
    Labels(#[from] LabelsError),
}

/// One series of a request: its samples, and its labels as bytes.
///
/// A reader fills the same value again and again, so that buffers are reused.
#[derive(Debug, Default)]
pub struct RawSeries<'a> {
    /// The keyed hash of tenant and labels; 0 when there is a fault.
    pub fingerprint: u128,
    /// What is wrong with its labels, if it was seen so far.
    pub fault: Option<SeriesFault>,
    /// Its float samples, as sent: unsorted, perhaps repeated.
    pub floats: Samples<f64>,
    /// Its histograms, as sent.
    pub histograms: Vec<RawHistogram>,
    /// Its exemplars, as sent.
    pub exemplars: Vec<RawExemplar>,
    /// What it says of its family (2.0 only).
    pub metadata: Option<RawMetadata<'a>>,
    /// 1.0: runs of adjacent label fields.
    pub(super) runs: Vec<&'a [u8]>,
    /// 2.0: names and values.
    pub(super) pairs: Vec<(&'a [u8], &'a [u8])>,
}

/// One histogram of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct RawHistogram {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// Its start timestamp, 0 when there is none.
    pub start: i64,
    /// The histogram, or why its buckets cannot be.
    pub value: Result<Histogram, HistogramError>,
}

/// One exemplar of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct RawExemplar {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// The observed value.
    pub value: f64,
    /// Its labels, or why they are none.
    pub labels: Result<Labels, SeriesFault>,
}

/// What a series says of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMetadata<'a> {
    /// The family's kind.
    pub kind: MetricType,
    /// A sentence for people.
    pub help: &'a [u8],
    /// The unit.
    pub unit: &'a [u8],
    /// Changes when any of the three does.
    pub fingerprint: u64,
}

impl RawMetadata<'_> {
    /// The model's form; text that is not UTF-8 is replaced.
    pub fn to_metadata(&self) -> Metadata {
        let text = |b: &[u8]| String::from_utf8_lossy(b).as_ref().into();
        Metadata { kind: self.kind, help: text(self.help), unit: text(self.unit) }
    }
}

impl<'a> RawSeries<'a> {
    pub(super) fn clear(&mut self) {
        self.fingerprint = 0;
        self.fault = None;
        self.floats = Samples::default();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata = None;
        self.runs.clear();
        self.pairs.clear();
    }

    /// How many float samples and histograms there are.
    pub fn samples(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// The labels as text, in the order in which they were sent, charged to
    /// the budget as if they were copied.
    ///
    /// # Errors
    /// The outer one when the budget is used up, the inner one when this
    /// series has a fault.
    #[allow(clippy::type_complexity)]
    pub fn labels(
        &self,
        budget: &mut Budget,
    ) -> Result<Result<Vec<(&'a str, &'a str)>, SeriesFault>, DecodeError> {
        if let Some(fault) = &self.fault {
            return Ok(Err(fault.clone()));
        }
        let mut pairs = Vec::new();
        for run in &self.runs {
            budget.take(run.len())?;
            if let Err(fault) = read_runs(run, &mut pairs, budget)? {
                return Ok(Err(fault));
            }
        }
        for pair in &self.pairs {
            budget.take(size_of_val(pair) + pair.0.len() + pair.1.len())?;
            pairs.push(*pair);
        }
        Ok(pairs.into_iter().map(text).collect())
    }

    /// The metric's name as bytes, empty when there is none. Of 1.0 series
    /// nothing is known before [`RawSeries::labels`].
    pub fn metric_name(&self) -> &'a [u8] {
        let found = self.pairs.iter().find(|(n, _)| *n == METRIC_NAME.as_bytes());
        found.map_or(&[], |(_, v)| v)
    }
}

/// Parses a run of label fields of the 1.0 protocol.
fn read_runs<'a>(
    run: &'a [u8],
    pairs: &mut Vec<(&'a [u8], &'a [u8])>,
    budget: &mut Budget,
) -> Result<Result<(), SeriesFault>, DecodeError> {
    let mut fields = Fields::new(run, 0, "label");
    loop {
        match fields.next() {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(field)) => {
                budget.take(size_of::<(&[u8], &[u8])>())?;
                let Ok(pair) = field.bytes().and_then(|(b, base)| read_label(b, base)) else {
                    return Ok(Err(SeriesFault::MalformedLabel));
                };
                pairs.push(pair);
            }
            Err(_) => return Ok(Err(SeriesFault::MalformedLabel)),
        }
    }
}

/// Parses a 1.0 label message into name and value.
pub(super) fn read_label(bytes: &[u8], base: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut fields = Fields::new(bytes, base, "label");
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?.0,
            2 => value = field.bytes()?.0,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Both parts of a pair as text.
fn text<'a>((name, value): (&'a [u8], &'a [u8])) -> Result<(&'a str, &'a str), SeriesFault> {
    let utf8 = |b: &'a [u8]| {
        std::str::from_utf8(b).map_err(|_| {
            let shown = String::from_utf8_lossy(&b[..b.len().min(64)]);
            SeriesFault::NotUtf8(shown.into_owned())
        })
    };
    Ok((utf8(name)?, utf8(value)?))
}

/// The label set of an exemplar.
pub(super) fn exemplar_labels(pairs: &[(&[u8], &[u8])]) -> Result<Labels, SeriesFault> {
    let pairs: Result<Vec<(&str, &str)>, SeriesFault> = pairs.iter().copied().map(text).collect();
    Ok(Labels::from_pairs(pairs?)?)
}
