//! The body `parse`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pollcast_fuzz::parse::fuzz_parse(data));
