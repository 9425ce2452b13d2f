//! See `caracal_tests::fuzz::wire_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| caracal_tests::fuzz::wire_stream(data));
