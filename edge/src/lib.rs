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
//! | [`live`], [`accelerator`], [`identity`] | a model folder as ears, eyes and mouth behind their jobs; which model it is |
//! | [`job`] | what these machines ask of the accelerator |
//! | [`codec`] | speech ⇄ four codes every 60 ms |
//! | [`settings`], [`config`], [`token`] | configuration files of both programs; the edge's keys; device tokens |
//! | [`timeline`] | the picture of a conversation, as SVG |
//! | [`doctor`], [`command`] | what works on this device; the subcommands of `caracal` |
//! | [`io`] | what waits for the world outside: sound in and out, pictures, video, the VAD's runtime |

pub mod accelerator;
pub mod audio;
pub mod codec;
pub mod command;
pub mod config;
pub mod conversation;
pub mod doctor;
pub mod downlink;
pub mod identity;
pub mod io;
pub mod job;
pub mod live;
pub mod playout;
pub mod settings;
pub mod sight;
pub mod streaming;
pub mod timeline;
pub mod token;
pub mod uplink;
pub mod vision;

pub use streaming::Streaming;
