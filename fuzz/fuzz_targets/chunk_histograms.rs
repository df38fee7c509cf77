//! See `varve_fuzz::chunk`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::chunk::histograms(bytes));
