//! One tenant's samples on their way into one partition: what an append
//! carries and what the log keeps.
//!
//! In memory a batch is a list of series, each named by the reference that
//! the head gave it or, when new, by its labels. In bytes it is columnar and
//! compressed (`docs/formats/batch.md`): [`encode`](mod@encode) writes,
//! [`decode`](mod@decode) reads, [`values`] holds the coding of floats.

mod decode;
mod encode;
mod histogram;
mod packed;
mod samples;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use bytes::Bytes;
use varve_model::{Exemplar, Histogram, Labels, Metadata, TenantId};

pub use samples::{Sample, Samples};

/// The first byte of every batch.
pub const VERSION: u8 = 1;
/// The most series that one batch holds; a decoder refuses more.
pub const MAX_SERIES: usize = 1 << 20;
/// The longest batch before compression, in bytes; a decoder refuses more.
pub const MAX_RAW_BYTES: usize = 256 << 20;

/// One tenant's samples for one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBatch {
    /// Whose samples they are.
    pub tenant: TenantId,
    /// The series. One may stand here twice; order is the sender's.
    pub series: Vec<BatchSeries>,
    /// What metric families say of themselves.
    pub metadata: Vec<(String, Metadata)>,
}

/// One series of a batch.
///
/// Unlike in the head, times need not be sorted and may repeat: they are as
/// they were sent.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSeries {
    /// Which series.
    pub id: SeriesId,
    /// Its float samples.
    pub floats: Samples<f64>,
    /// Its histograms.
    pub histograms: Samples<Arc<Histogram>>,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// How a batch names a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeriesId {
    /// By the reference that the partition's head gave it.
    Known(u64),
    /// By its labels: the sender knows no reference.
    New(Labels),
}

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No bytes at all.
    #[error("batch is empty")]
    Empty,
    /// A version of the future.
    #[error("batch has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Neither plain nor compressed inline.
    #[error("batch has the unknown form {0}")]
    Form(u8),
    /// Longer than a batch may be.
    #[error("batch is {got} bytes long before compression, the limit is {MAX_RAW_BYTES}")]
    TooLong {
        /// The length it claims.
        got: u64,
    },
    /// Compressed bytes that are damaged.
    #[error("batch does not decompress to the {expected} bytes it claims")]
    Compression {
        /// The length it claims.
        expected: u64,
    },
    /// A column that ends inside a value or holds an impossible one.
    #[error("batch column {column} is malformed at byte {at}: {what}")]
    Malformed {
        /// Which column.
        column: &'static str,
        /// Where in it.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Labels that are none.
    #[error("batch has bad labels: {0}")]
    Labels(#[from] varve_model::LabelsError),
    /// A tenant name that is none.
    #[error("batch has a bad tenant: {0}")]
    Tenant(#[from] varve_model::TenantError),
}

impl WriteBatch {
    /// An empty batch of a tenant.
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, series: Vec::new(), metadata: Vec::new() }
    }

    /// The batch in the bytes of `docs/formats/batch.md`.
    ///
    /// More than [`MAX_SERIES`] series or [`MAX_RAW_BYTES`] make bytes that no
    /// decoder takes; callers split before that.
    pub fn encode(&self) -> Bytes {
        encode::encode(self)
    }

    /// Reads what [`WriteBatch::encode`] wrote, bit exact.
    ///
    /// Any bytes are safe: memory is bounded by [`MAX_RAW_BYTES`] and
    /// [`MAX_SERIES`], and every count is checked before room is made for it.
    ///
    /// # Errors
    /// On anything that `encode` could not have produced.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        decode::decode(bytes)
    }

    /// How many samples of either kind there are.
    pub fn samples(&self) -> usize {
        self.series.iter().map(|s| s.floats.len() + s.histograms.len()).sum()
    }
}

impl BatchSeries {
    /// A series without samples yet.
    pub fn new(id: SeriesId) -> Self {
        Self {
            id,
            floats: Samples::default(),
            histograms: Samples::default(),
            exemplars: Vec::new(),
        }
    }
}

/// The form byte: columns as they are.
pub const FORM_PLAIN: u8 = 0;
/// The form byte: columns behind one Zstandard frame.
const FORM_ZSTD: u8 = 1;

/// Bits of a series' entry in the shapes column; above them the float count.
mod shape {
    pub(super) const NEW: u64 = 1;
    pub(super) const HISTOGRAMS: u64 = 1 << 1;
    pub(super) const EXEMPLARS: u64 = 1 << 2;
    pub(super) const FLOAT_STARTS: u64 = 1 << 3;
    pub(super) const HISTOGRAM_STARTS: u64 = 1 << 4;
    pub(super) const FLOAT_SHIFT: u32 = 5;
}

/// The columns in the order in which they stand, with their names in errors.
const COLUMNS: [&str; 12] = [
    "shapes",
    "counts",
    "references",
    "labels",
    "times",
    "kinds",
    "mantissas",
    "raw",
    "starts",
    "histograms",
    "exemplars",
    "metadata",
];
