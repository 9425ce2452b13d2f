//! Fuzz targets as plain functions: cargo-fuzz runs them for hours, the test suite over a few thousand mutations.
//! What fuzzers feed with bytes: each function must return for any input, and never panic.

pub mod cmvn;
pub mod mutate;
pub mod tensor_file;

pub use cmvn::cmvn;
mod image_size;
pub use image_size::image_size;
