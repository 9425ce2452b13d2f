//! A model folder in the published layout, of which each run loads what it needs.
//!
//! | in the folder | method |
//! |---|---|
//! | `config.json`, `tokenizer.json` | [`ModelFolder::open`] |
//! | `audio/{config.json, preprocessor_config.json, global_cmvn, audio_encoder, audio_projector}` | [`ModelFolder::hearing`] |
//! | `vision/{config.json, vision_model, vision_projector}` | [`ModelFolder::sight`] |
//! | `language_model_embedding`, `audio/audio_embeddings` | [`ModelFolder::input_embedding`] |
//! | `model.safetensors` or `model.safetensors.index.json` and shards | [`ModelFolder::language_model`] |
//! | `audio/audio_output_layers` | [`ModelFolder::codec_head`] |
//! | `audio_codec/{config.yaml, …}` | [`ModelFolder::codec`] |
//!
//! A part without an extension is a `.safetensors` or a `.pt` file. The released model and the small ones go through
//! the same doors.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use caracal_edge::audio::AudioPerception;
use caracal_edge::codec::{AudioDecoder, DecoderConfig};
use caracal_edge::vision::{RopeTable, VisionConfig, VisionEncoder};
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, LoadError, Weights};
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::tokenize::{Markers, TokenizeError};

use crate::backbone::{BackboneConfig, CodecEmbedding, CodecHead, LongCatFlash};
use crate::tokenizer::{Tokenizer, TokenizerFileError};

/// A model cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no such folder.
    #[error("{}: no model folder. Point `--model` to a folder that holds config.json, tokenizer.json and the weights.", folder.display())]
    NoFolder {
        /// What was given.
        folder: PathBuf,
    },
    /// A config or weights.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tokenizer file cannot be read.
    #[error(transparent)]
    TokenizerFile(#[from] TokenizerFileError),
    /// The tokenizer is another model's.
    #[error("{}: {source}", folder.join("tokenizer.json").display())]
    Markers {
        /// The model.
        folder: PathBuf,
        /// What does not fit.
        source: TokenizeError,
    },
    /// The tokenizer has ids that the model has no row for.
    #[error(
        "{}: {found} tokens, but config.json says vocab_size {expected}. Use the tokenizer file of the same release as the weights.",
        folder.join("tokenizer.json").display()
    )]
    Vocabulary {
        /// The model.
        folder: PathBuf,
        /// Tokens in the file.
        found: usize,
        /// Rows of the model.
        expected: usize,
    },
}

/// An open model folder: its shape and its tokenizer. Weights are loaded part by part.
pub struct ModelFolder {
    folder: PathBuf,
    device: Device,
    /// Shape of the language model.
    pub config: BackboneConfig,
    /// Text to ids and back.
    pub tokenizer: Tokenizer,
    /// Ids of the markers in that tokenizer.
    pub markers: Markers,
}

impl ModelFolder {
    /// Reads `config.json` and `tokenizer.json` and checks that they belong together. Weights will go to `device`.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        if !folder.is_dir() {
            return Err(ModelError::NoFolder { folder: folder.into() });
        }
        let config = BackboneConfig::read(folder)?;
        let tokenizer = Tokenizer::load(folder)?;
        let markers = Markers::resolve(&tokenizer).map_err(|source| ModelError::Markers { folder: folder.into(), source })?;
        if tokenizer.vocabulary() > config.vocab_size {
            return Err(ModelError::Vocabulary { folder: folder.into(), found: tokenizer.vocabulary(), expected: config.vocab_size });
        }
        Ok(Self { folder: folder.into(), device: device.clone(), config, tokenizer, markers })
    }

    /// The path it was opened by.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Front end, audio encoder and projector.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn hearing(&self) -> Result<AudioPerception, LoadError> {
        let folder = self.folder.join("audio");
        let hearing = AudioPerception::open(&folder, &self.device, DType::F32)?;
        let (found, expected) = (hearing.projector.output_size(), self.config.hidden_size);
        if found == expected {
            return Ok(hearing);
        }
        let problem = format!(
            "{expected}, but the embeddings of {} are {found} wide. Take all parts from the same release.",
            folder.join("audio_projector").display()
        );
        Err(LoadError::config(&self.folder.join("config.json"), "hidden_size", problem))
    }

    /// ViT, projector and the limits of pictures.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn sight(&self) -> Result<(VisionEncoder, VisionConfig), LoadError> {
        VisionEncoder::open(&self.folder, self.config.hidden_size, &self.device, DType::F32, RopeTable::Demo)
    }

    /// The tables that a prompt's rows are made of: text and codes.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn input_embedding(&self) -> Result<(Embedding, CodecEmbedding), LoadError> {
        let file = Checkpoint::open_part(&self.folder, "language_model_embedding")?;
        let text = Embedding::load(&self.weights(&file).at("word_embeddings"), self.config.vocab_size, self.config.hidden_size)?;
        file.refuse_unread(|_| false)?;
        let file = Checkpoint::open_part(&self.folder.join("audio"), "audio_embeddings")?;
        let codes = rows(&file, "audio_embeddings.0.weight");
        let codec = CodecEmbedding::load(&self.weights(&file), CODEBOOKS, codes, self.config.hidden_size)?;
        file.refuse_unread(|_| false)?;
        Ok((text, codec))
    }

    /// The language model.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn language_model(&self) -> Result<LongCatFlash, LoadError> {
        Ok(LongCatFlash::open(&self.folder, &self.device, false)?.1)
    }

    /// The audio heads, which must choose among `codes` codes: those that `input_embedding` has rows for.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn codec_head(&self, codes: usize) -> Result<CodecHead, LoadError> {
        let file = Checkpoint::open_part(&self.folder.join("audio"), "audio_output_layers")?;
        let head = CodecHead::load(&self.weights(&file), CODEBOOKS, codes, self.config.hidden_size)?;
        file.refuse_unread(|_| false)?;
        Ok(head)
    }

    /// The codec's decoder.
    ///
    /// # Errors
    /// [`LoadError`] naming the file.
    pub fn codec(&self) -> Result<(AudioDecoder, DecoderConfig), LoadError> {
        AudioDecoder::open(&self.folder.join("audio_codec"), &self.device, DType::F32)
    }

    fn weights<'a>(&self, file: &'a Checkpoint) -> Weights<'a> {
        Weights::from_checkpoint(file, &self.device, DType::F32).keep_narrow()
    }
}

/// Rows of a stored table; 0 without it, so that loading it then names it.
fn rows(file: &Checkpoint, name: &str) -> usize {
    file.get(name).and_then(|tensor| tensor.shape.first().copied()).unwrap_or(0)
}
