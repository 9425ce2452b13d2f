//! Ears, eyes and mouth of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`streaming`] | the contract of every streaming network |
//! | [`audio`] | waveform → features → embeddings for the language model |
//! | [`vision`] | picture or video → patches → embeddings for the language model |
//! | [`codec`] | speech ⇄ four codes every 60 ms |

pub mod audio;
pub mod codec;
pub mod streaming;
pub mod vision;

pub use streaming::Streaming;
