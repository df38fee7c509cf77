//! The protobuf contracts in Rust, and the only conversions between them and the model.
//!
//! [`v1`] is what Varve's processes say to each other (`proto/varve/v1`),
//! [`batch`] the payload of appends and log entries, [`prompb`] what
//! Prometheus senders say, [`remote_write`] how a server reads that without
//! copying, and [`remote_read`] what is said when Prometheus reads.

pub mod batch;
pub mod convert;
pub mod prompb;
pub mod remote_read;
pub mod remote_write;
pub mod status;
mod varint;

/// The contracts between Varve's processes, generated from `proto/varve/v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("varve.v1");
}
