//! Ears, eyes and mouth of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`streaming`] | the contract of every streaming network |
//! | [`audio`] | waveform → features → embeddings for the language model |
//! | [`vision`] | picture or video → patches → embeddings for the language model |
//! | [`conversation`] | the edge as one machine, made of those below |
//! | [`uplink`], [`sight`] | microphone and camera → what is heard and seen of a turn |
//! | [`downlink`], [`playout`] | codes → sound; the gate that it is held by, and the speaker's hops |
//! | [`job`] | what these machines ask of the accelerator |
//! | [`codec`] | speech ⇄ four codes every 60 ms |
//! | [`io`] | what waits for the world outside: sound in and out, pictures, video, the VAD's runtime |

pub mod audio;
pub mod codec;
pub mod conversation;
pub mod downlink;
pub mod io;
pub mod job;
pub mod playout;
pub mod sight;
pub mod streaming;
pub mod uplink;
pub mod vision;

pub use streaming::Streaming;
