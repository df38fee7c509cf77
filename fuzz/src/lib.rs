//! What the fuzz targets assert, one module for each decoder.
//!
//! A new target: a function here that takes bytes and panics on a broken
//! promise, a file of three lines in `fuzz_targets/`, a `[[bin]]` in the manifest.

pub mod block;
pub mod catalog;
pub mod chunk;
pub mod head;
pub mod promql;
pub mod tsdb;
pub mod wire;
