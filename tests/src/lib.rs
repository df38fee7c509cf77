//! The harness of the whole-system tests: real processes, real ports, real
//! disks, and Prometheus 3.15 as the judge.
//!
//! Processes end with the value that started them, by their own pid. Parts
//! that are not installed are skipped loudly, and are an error in CI.

#![allow(
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a harness reports and fails loudly"
)]

pub mod calm;
pub mod client;
pub mod compare;
pub mod differ;
pub mod flood;
pub mod http;
pub mod kubernetes;
pub mod ledger;
pub mod oracle;
pub mod parts;
pub mod process;
pub mod promqltest;
pub mod proxy;
pub mod remote_read;
pub mod remote_write;
pub mod report;
pub mod scrape;
pub mod seed;
pub mod tmpfs;
pub mod traffic;
pub mod varve;
