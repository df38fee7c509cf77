//! Tests of a whole partition over a real segment log and a simulated disk.
//!
//! [`model`] is a naive reference; the other files hold a partition against it
//! or against single expectations.

mod concurrent;
mod corrupt;
mod faulty;
mod harness;
mod model;
mod random;
mod room;
mod scenarios;
mod strangers;
