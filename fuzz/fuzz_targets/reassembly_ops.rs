//! The body `reassembly_ops`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pollcast_fuzz::reassembly_ops::fuzz_reassembly_ops(data));
