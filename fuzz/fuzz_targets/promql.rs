//! See `varve_fuzz::promql::text`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::promql::text(bytes));
