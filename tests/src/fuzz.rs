//! What fuzzers feed with bytes: each function must return for any input, and never panic.

pub mod cmvn;
pub mod mutate;
pub mod tensor_file;

pub use cmvn::cmvn;
