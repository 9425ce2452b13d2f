//! Spoken sentences for training: synthesisers, and what rooms and microphones do to them.
//!
//! | file | what it holds |
//! |---|---|
//! | [`synthesiser_process`] | a synthesiser as a child process: text in, 16 kHz samples out |
//! | [`espeak`], [`flite`] | the two Debian synthesisers and their voices |
//! | [`piper`] | Caracal's own voice |
//! | [`voice`] | one way of speaking, drawn at random; which voice training never hears |
//! | [`library`] | rendered sentences on disk |
//! | [`echo`], [`noise`], [`microphone`] | rooms, what sounds beside the speaker, bands and clipping |
//! | [`augment`] | all of these on one utterance, drawn at random |
//! | [`listening`] | any sentence under a condition: what training draws, and what the evaluation asks |

pub mod augment;
pub mod echo;
pub mod espeak;
pub mod flite;
pub mod library;
pub mod listening;
pub mod microphone;
pub mod noise;
pub mod piper;
pub mod synthesiser_process;
pub mod voice;
