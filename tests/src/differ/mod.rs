//! The differential fuzzer: random data and random queries of the whole
//! language, asked of Varve and of Prometheus 3.15.
//!
//! [`data`] draws the series of a seed, [`query`] its queries; [`round`] asks
//! both ([`court`]) and holds the answers against each other ([`answer`]);
//! what differs is shrunk to its smallest part. [`coverage`] shows that all of
//! the language was asked. The program `varve-differ` runs it by hand,
//! tests/differential.rs in CI.

pub mod answer;
pub mod court;
pub mod coverage;
pub mod data;
mod histograms;
mod nudge;
pub mod query;
mod random;
pub mod round;
