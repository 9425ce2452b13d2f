//! Ears, eyes and mouth of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`streaming`] | the contract of every streaming network |
//! | [`audio`] | waveform → features → embeddings for the language model |
//! | [`vision`] | picture or video → patches → embeddings for the language model |
//! | [`codec`] | speech ⇄ four codes every 60 ms |
//! | [`settings`], [`config`] | configuration files of both programs; the edge's keys |
//! | [`timeline`] | the picture of a conversation, as SVG |
//! | [`doctor`], [`command`] | what works on this device; the subcommands of `caracal` |
//! | [`io`] | what waits for the world outside: sound in and out, pictures, video, the VAD's runtime |

pub mod audio;
pub mod codec;
pub mod command;
pub mod config;
pub mod doctor;
pub mod io;
pub mod settings;
pub mod streaming;
pub mod timeline;
pub mod vision;

pub use streaming::Streaming;
