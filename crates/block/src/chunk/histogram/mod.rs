//! The column of native histograms: layouts once, then every bucket as a
//! column of its own over time.
//!
//! A column is a sequence of frames, each of at most 4096 histograms and about
//! a million numbers. A frame holds a table of the [`layout`]s in use, runs of
//! samples with one layout, verdicts on counter [`resets`], and then columns:
//! sums, counts, zero buckets, and one for each bucket, shared by all layouts
//! that have the bucket, so that a histogram that grows a bucket goes on with
//! the columns that it had.

mod columns;
mod decode;
mod encode;
mod layout;
mod resets;

pub use decode::decode_histograms;
pub use encode::encode_histograms;
pub(crate) use resets::verdict;

/// The most histograms of a frame.
const MAX_FRAME: usize = 4096;
/// The most [`layout::cells`] of a frame of more than one histogram.
const MAX_CELLS: usize = 1 << 20;

#[cfg(test)]
mod tests;
