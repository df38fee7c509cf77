//! The PromQL language: parser, plan, evaluator, functions.
//!
//! Prometheus 3.15 is the specification. This crate reads series, runs work
//! and charges memory only through the traits of [`source`]; it knows no
//! storage and no HTTP.

pub mod annotations;
pub mod ast;
pub mod engine;
mod eval;
pub mod explain;
pub mod functions;
pub mod number;
pub mod order;
pub mod parse;
mod plan;
pub mod print;
pub mod source;
pub mod value;
