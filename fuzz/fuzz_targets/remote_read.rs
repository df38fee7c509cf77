//! See `varve_fuzz::wire`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| varve_fuzz::wire::remote_read(bytes));
