//! Speech ⇄ four codes every 60 ms: the LongCat audio codec.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | the published YAML files |
//! | [`ids`] | ids of the language model ⇄ codes, and ids that no table has a row for |
//! | [`reply_codes`] | generated rows → frames: acoustic ids come one step late |
//! | [`audio_decoder`] | codec frames → waveform, as they come |
//! | [`quantizer`] | latents ⇄ packed acoustic codes |
//! | [`memory`], [`upsample`], [`residual_unit`], [`snake`], [`stream_conv`] | what the two convolutional networks are made of |
//! | [`trace`] | stages of a network by their published names |

pub mod audio_decoder;
pub mod config;
pub mod ids;
pub mod memory;
pub mod quantizer;
pub mod reply_codes;
pub mod residual_unit;
pub mod snake;
pub mod stream_conv;
pub mod trace;
pub mod upsample;

pub use audio_decoder::{AudioDecoder, AudioDecoderState};
pub use config::{DecoderConfig, DecoderType, EncoderConfig, QuantizerConfig, SemanticConfig};
pub use ids::{CodecFrame, CodecIds};
pub use quantizer::GroupedResidualQuantizer;
pub use reply_codes::ReplyCodes;
pub use trace::Trace;
