//! Waveform → features → embeddings for the language model.
//!
//! | file | what it holds |
//! |---|---|
//! | [`waveform`] | samples that are fit to be computed with |
//! | [`fbank`] | log-mel vectors, one every 10 ms |
//! | [`delta`] | their slopes, where a model asks for them |
//! | [`cmvn`] | mean and variance normalisation from a statistics file |
//! | [`splice`] | neighbours side by side, one every 80 ms |

pub mod cmvn;
pub mod delta;
pub mod fbank;
mod frame_window;
pub mod splice;
pub mod waveform;

pub use cmvn::Cmvn;
pub use delta::{Delta, DeltaConfig, DeltaState};
pub use fbank::{Fbank, FbankConfig, FbankError, FbankState};
pub use splice::{Splice, SpliceConfig, SpliceState};
pub use waveform::{NotFinite, Waveform};
