//! See `varve_fuzz::head`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::head::seal(bytes));
