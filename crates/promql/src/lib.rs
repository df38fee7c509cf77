//! The PromQL language: parser, plan, evaluator, functions.
//!
//! Prometheus 3.15 is the specification. This crate reads series, runs work
//! and charges memory only through the traits of [`source`]; it knows no
//! storage and no HTTP.

pub mod ast;
pub mod functions;
pub mod parse;
pub mod source;
