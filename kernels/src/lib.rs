//! Tensors of Caracal: one operation per file, the layers every network shares, and the files weights come from.
//!
//! Read in this order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | which compute device runs the tensors, chosen at run time |
//! | [`checkpoint`] | tensor files (`.safetensors`, `.pt`) and config files, with errors a person can act on |
//! | [`weights`] | one definition of each parameter's name and shape: loads it, makes it up at random, or saves it |
//! | [`ops`] | operations with a portable version and a CPU version whose result does not depend on the batch; gradients written out |
//! | [`layers`] | Linear, LayerNorm, RMSNorm, Embedding, LSTM: used by every network and defined here only |
//!
//! This crate knows tensors. It knows no model, no session and no network. Parameters are burn `Module`s, so that
//! training differentiates the very code that inference runs.

pub mod checkpoint;
pub mod device;
pub mod layers;
pub mod ops;
pub mod weights;

pub use burn;
pub use checkpoint::{Checkpoint, LoadError};
pub use device::{DeviceChoice, choose_device};
pub use weights::{Init, Weights};
