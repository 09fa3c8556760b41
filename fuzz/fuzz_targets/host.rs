//! The body `host`, for libFuzzer.
#![no_main]

use pollcast_fuzz::{host, script};

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::fuzz_host(&script::decode(data)));
