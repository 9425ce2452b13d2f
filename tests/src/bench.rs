//! Benchmarks: each prints its figure, what the machine could do at best in the same run, and the ratio.
//!
//! `cargo xtask bench perception --full-size`, `cargo xtask bench backbone`, `cargo xtask bench conversation`.

pub mod audio;
pub mod backbone;
pub mod codec;
pub mod conversation;
pub mod kernels;
mod measure;
pub mod vision;

pub use measure::{Machine, Measured, median_seconds, peak_memory_bytes, reset_peak_memory};

use burn::tensor::Device;

/// What to run.
pub struct Options {
    /// Device to compute on.
    pub device: Device,
    /// Released shapes instead of small ones.
    pub full_size: bool,
}
