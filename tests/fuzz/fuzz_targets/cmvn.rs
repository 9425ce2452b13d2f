//! `cargo xtask fuzz cmvn`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caracal_tests::fuzz::cmvn(bytes));
