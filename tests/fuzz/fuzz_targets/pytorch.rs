//! `cargo xtask fuzz pytorch`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caracal_tests::fuzz::pytorch(bytes));
