//! Layers that more than one network uses.

mod conv1d;
mod embedding;
mod layer_norm;
mod linear;
mod lstm;
mod rms_norm;

pub use conv1d::Conv1d;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use lstm::{Lstm, LstmState};
pub use rms_norm::RmsNorm;
