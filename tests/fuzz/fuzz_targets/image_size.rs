//! `cargo xtask fuzz image_size`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caracal_tests::fuzz::image_size(bytes));
