//! Test doubles and generators shared by every crate's tests.
