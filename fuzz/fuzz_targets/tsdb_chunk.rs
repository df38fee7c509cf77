//! See `varve_fuzz::tsdb`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::tsdb::chunk(bytes));
