//! Seals: everything a partition holds, as immutable files and a manifest.
//!
//! A seal writes the chunks and the series that no earlier seal wrote, then
//! replaces the manifest, which names all files that count. The manifest is
//! the commit: a crash before it leaves files that nobody names, a crash
//! after it only repeats a purge. docs/formats/seal.md draws the files.

mod chunks;
mod job;
mod load;
mod manifest;
mod names;
mod placement;
mod series_file;
mod write;

pub(crate) use job::Job;
pub(crate) use load::{Opened, load};
pub(crate) use placement::Placement;
pub(crate) use write::{Sealer, Settled, Written};

#[cfg(test)]
pub(crate) use chunks::decode_index as decode_chunk_index;
#[cfg(test)]
pub(crate) use names::wrap;
#[cfg(test)]
pub(crate) use series_file::decode as decode_series;
