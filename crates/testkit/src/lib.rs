//! Test doubles and generators shared by every crate's tests.
//!
//! [`FakeGcs`] is Google's object store in memory, [`FaultyStore`] any object
//! store with toxics, [`servers`] start the real parts that registries have
//! (moto for S3, azurite for Azure) and end them when dropped.

mod faulty;
mod gcs;
pub mod servers;

pub use faulty::{FaultyStore, Gate};
pub use gcs::FakeGcs;
