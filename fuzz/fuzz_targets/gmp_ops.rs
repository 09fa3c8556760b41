//! The body `gmp_ops`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pollcast_fuzz::gmp_ops::fuzz_gmp_ops(data));
