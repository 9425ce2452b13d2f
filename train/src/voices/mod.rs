//! Spoken sentences for training: synthesisers and augmentation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`piper`] | Caracal's own voice |

pub mod piper;
