//! See `varve_fuzz::block`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::block::json(bytes));
