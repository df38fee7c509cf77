//! Reading remote write 1.0 and 2.0 requests without copying.
//!
//! A request is walked series by series; of each series the labels are only
//! hashed ([`Fingerprints`]) until somebody asks for them, because most
//! series are known by their hash already. All that is materialised is
//! charged to a [`Budget`], so that a small body cannot become a large
//! memory. [`decompress`] comes first, then [`v1`] or [`v2`]; both fill a
//! [`RawSeries`].

mod fields;
mod fingerprint;
mod histogram;
mod series;
mod snappy;
#[cfg(test)]
mod tests;
pub mod v1;
pub mod v2;

pub(crate) use fields::Fields;
pub use fingerprint::{Fingerprints, TenantFingerprints};
pub use series::{RawExemplar, RawHistogram, RawMetadata, RawSeries, SeriesFault};
pub use snappy::{decompress, decompressed_len};

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The compressed body is damaged.
    #[error("body is not a snappy block: {0}")]
    Snappy(String),
    /// The body says that it decompresses to more than is allowed.
    #[error("body decompresses to {got} bytes, the limit is {limit}")]
    TooLarge {
        /// What it says.
        got: u64,
        /// What is allowed.
        limit: usize,
    },
    /// What the request holds takes more memory than is allowed.
    #[error("request holds more than {limit} bytes of labels and samples once decoded")]
    OverBudget {
        /// What is allowed.
        limit: usize,
    },
    /// The protobuf is damaged.
    #[error("malformed {message} at byte {at}: {what}")]
    Malformed {
        /// The message that was being read.
        message: &'static str,
        /// The position in the decompressed body.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl DecodeError {
    /// Whether a smaller request could pass (HTTP 413 instead of 400).
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::OverBudget { .. })
    }
}

/// How many bytes decoded values of one request may still take.
///
/// Without it one symbol of remote write 2.0, referred to by a million
/// series, would be copied a million times.
#[derive(Clone, Debug)]
pub struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    /// Takes bytes before room for them is made.
    ///
    /// # Errors
    /// When fewer are left; nothing is taken then.
    pub fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let over = DecodeError::OverBudget { limit: self.limit };
        self.left = self.left.checked_sub(bytes).ok_or(over)?;
        Ok(())
    }
}
