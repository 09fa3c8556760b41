//! The body `config`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    pollcast_fuzz::config::fuzz_config(text);
});
