//! What fuzzers feed with bytes: each function returns for any input and never panics.
//!
//! cargo-fuzz runs them for as long as one lets it (`cargo xtask fuzz`); the test suite runs each over thousands of mutations.

pub mod cmvn;
mod image_size;
pub mod mutate;
pub mod session;
pub mod tensor_file;
pub mod wire;

pub use cmvn::cmvn;
pub use image_size::image_size;
pub use session::{cluster_session, edge_session};
pub use tensor_file::{pytorch, safetensors};
pub use wire::{wire_stream, wire_unit};
