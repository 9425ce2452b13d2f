//! Layers that more than one network uses.

mod embedding;
mod layer_norm;
mod linear;
mod rms_norm;

pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use rms_norm::RmsNorm;
