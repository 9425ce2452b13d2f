//! Waveform → features → embeddings for the language model.
//!
//! | file | what it holds |
//! |---|---|
//! | [`waveform`] | samples that are fit to be computed with |
//! | [`sound_decoder`], [`read`] | WAV, FLAC and MP3: piece by piece, also from a pipe; whole files |
//! | [`resampler`], [`sinc_resample`] | other sample rates: live, and exactly as the published code |
//! | [`fbank`] | log-mel vectors, one every 10 ms |
//! | [`delta`] | their slopes, where a model asks for them |
//! | [`cmvn`] | mean and variance normalisation from a statistics file |
//! | [`splice`] | neighbours side by side, one every 80 ms |
//! | [`preprocessor_config`], [`front_end`] | all of these as one streaming value |
//! | [`audio_encoder_config`], [`fsmn_layer`], [`audio_encoder`], `joined_clips` | the streaming FSMN encoder |
//! | [`audio_projector`] | from its width to the language model's |
//! | [`audio_perception`] | front end, encoder and projector of one model folder |
//! | [`voice_activity`] | speech probabilities → beginnings and ends of speech |

pub mod audio_encoder;
pub mod audio_encoder_config;
pub mod audio_perception;
pub mod audio_projector;
pub mod cmvn;
pub mod delta;
pub mod fbank;
mod frame_window;
pub mod front_end;
pub mod fsmn_layer;
mod joined_clips;
pub mod preprocessor_config;
pub mod read;
pub mod resampler;
pub mod sinc_resample;
pub mod sound_decoder;
pub mod splice;
pub mod voice_activity;
pub mod waveform;

pub use audio_encoder::{AudioEncoder, AudioEncoderState};
pub use audio_encoder_config::AudioEncoderConfig;
pub use audio_perception::{AudioPerception, AudioPerceptionState};
pub use audio_projector::AudioProjector;
pub use cmvn::Cmvn;
pub use delta::{Delta, DeltaConfig, DeltaState};
pub use fbank::{Fbank, FbankConfig, FbankError, FbankState};
pub use front_end::{FrontEnd, FrontEndState};
pub use fsmn_layer::{FsmnLayer, FsmnState};
pub use preprocessor_config::PreprocessorConfig;
pub use read::{AudioFileError, Recording, read_audio};
pub use resampler::{ResampleError, Resampler, resample};
pub use sinc_resample::sinc_resample;
pub use sound_decoder::SoundDecoder;
pub use splice::{Splice, SpliceConfig, SpliceState};
pub use voice_activity::{SpeechProbability, VAD_WINDOW_SAMPLES, VoiceActivity, VoiceActivityConfig, VoiceEvent};
pub use waveform::{NotFinite, Waveform};
