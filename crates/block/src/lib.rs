//! Every byte layout that lives in the bucket: chunk codec, Parquet schemas, block meta.
//!
//! A block is one tenant × one time range × one interval of the series hash:
//! an immutable set of Parquet files and a `block.json`. docs/formats/block.md
//! draws each of them. [`BlockWriter`] makes one in a local directory,
//! [`BlockReader`] answers from one through range reads, [`merge`] joins what
//! several of them say about one series.

pub mod chunk;
mod encoded;
mod entry;
mod error;
mod estimate;
mod files;
pub mod merge;
mod meta;
mod order;
mod read;
mod schema;
mod text;
mod write;

pub use encoded::{ChunkKind, EncodedChunk, EncodedSeries};
pub use entry::{BlockEntry, FileEntry};
pub use error::{BlockError, Result};
pub use estimate::Estimate;
pub use files::{BlockFiles, LocalFiles};
pub use meta::{BLOCK_JSON, BLOCK_VERSION, BlockCounts, BlockMeta, FileMeta};
pub use order::{SORT_LABELS, block_order};
pub use read::{BlockReader, LabelPool, SeriesExemplars, verify};
pub use write::{BlockSpec, BlockWriter, FinishedBlock, Layout};
