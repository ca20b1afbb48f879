//! See `portcullis_fuzz::router`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portcullis_fuzz::router(input));
