//! See `varve_fuzz::catalog`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::catalog::objects(bytes));
