//! Object storage as Varve uses it: paths, retries, caches, the catalog, garbage collection.
//!
//! The bucket is the truth. [`Bucket`] is one S3, Azure or GCS bucket, a local
//! folder or memory, all alike. [`catalog::Catalog`] says which blocks a
//! tenant has: immutable numbered manifests, each created only if absent.
//! [`FileCache`] reads the files of blocks through memory and local disk.
//! The layout is drawn in `docs/formats/catalog.md`; every path is in
//! [`paths`].

pub mod catalog;
pub mod paths;

mod bucket;
mod cache;
mod config;
mod error;
mod local;
mod metrics;
mod open;
mod upload;

pub use bucket::{Bucket, Folder, ObjectInfo, PutOutcome};
pub use cache::{CacheConfig, CachedFiles, FileCache};
pub use catalog::{Catalog, CatalogConfig, CatalogError, Change, Committed, CutKey, Snapshot};
pub use config::BucketConfig;
pub use error::{BucketError, Result};
pub use metrics::Metrics;
pub use paths::ObjectPath;
