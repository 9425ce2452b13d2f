//! See `caracal_tests::fuzz::edge_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| caracal_tests::fuzz::edge_session(data));
