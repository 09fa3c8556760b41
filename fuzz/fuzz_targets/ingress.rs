//! The body `ingress`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pollcast_fuzz::ingress::fuzz_ingress(data));
