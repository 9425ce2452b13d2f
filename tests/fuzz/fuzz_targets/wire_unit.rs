//! See `caracal_tests::fuzz::wire_unit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| caracal_tests::fuzz::wire_unit(data));
