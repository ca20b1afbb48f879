//! See `portcullis_fuzz::response_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portcullis_fuzz::response_head(input));
