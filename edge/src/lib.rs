//! Ears, eyes and mouth of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`streaming`] | the contract of every streaming network |
//! | [`audio`] | waveform → features → embeddings for the language model |
//! | [`vision`] | picture or video → patches → embeddings for the language model |
//! | [`codec`] | speech ⇄ four codes every 60 ms |
//! | [`io`] | what waits for the world outside: sound in and out, pictures, video, the VAD's runtime |

pub mod audio;
pub mod codec;
pub mod io;
pub mod streaming;
pub mod vision;

pub use streaming::Streaming;
