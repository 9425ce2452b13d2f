//! Speech ⇄ four codes every 60 ms: the LongCat audio codec.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`], [`semantic_config`] | the published YAML files |
//! | [`ids`] | ids of the language model ⇄ codes, and ids that no table has a row for |
//! | [`audio_decoder`] | codec frames → waveform, as they come |
//! | [`tokenizer`] | a clip of speech → codes |
//! | [`semantic_tokenizer`], [`semantic_layer`] | waveform → semantic codes |
//! | [`acoustic_encoder`] | waveform → acoustic latents |
//! | [`quantizer`] | latents ⇄ packed acoustic codes |
//! | [`memory`], [`upsample`], [`residual_unit`], [`snake`], [`stream_conv`] | what the two convolutional networks are made of |
//! | [`trace`] | stages of a network by their published names |

pub mod acoustic_encoder;
pub mod audio_decoder;
pub mod config;
pub mod ids;
pub mod memory;
pub mod quantizer;
pub mod residual_unit;
pub mod semantic_config;
pub mod semantic_layer;
pub mod semantic_tokenizer;
pub mod snake;
pub mod stream_conv;
pub mod tokenizer;
pub mod trace;
pub mod upsample;

pub use acoustic_encoder::AcousticEncoder;
pub use audio_decoder::{AudioDecoder, AudioDecoderState};
pub use config::{DecoderConfig, DecoderType, EncoderConfig, QuantizerConfig};
pub use ids::{CodecFrame, CodecIds, InvalidCodes};
pub use quantizer::GroupedResidualQuantizer;
pub use semantic_config::SemanticConfig;
pub use semantic_tokenizer::SemanticTokenizer;
pub use tokenizer::{AudioTokenizer, ClipCodes, TokenizeError};
pub use trace::Trace;
