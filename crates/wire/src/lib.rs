//! The protobuf contracts in Rust, and the only conversions between them and the model.
