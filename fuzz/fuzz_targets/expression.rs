//! See `portcullis_fuzz::expression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portcullis_fuzz::expression(input));
