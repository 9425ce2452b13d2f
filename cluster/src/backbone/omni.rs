//! The language side of a LongCat-Flash-Omni folder, in its published layout.
//!
//! | file | what it holds |
//! |---|---|
//! | `config.json`, `model*.safetensors` | the language model, text embeddings included |
//! | `audio/audio_embeddings.pt` or `.safetensors` | input tables of the codes |
//! | `audio/audio_output_layers.pt` or `.safetensors` | the audio heads and their own tables |
//!
//! `language_model_embedding.pt` is a copy of the text embeddings for programs that embed apart from the engine; it is
//! not read.

use std::path::Path;

use burn::tensor::{DType, Device};
use caracal_kernels::{Checkpoint, LoadError, Weights};
use caracal_shared::reply::CODEBOOKS;

use super::{BackboneConfig, CodecEmbedding, CodecHead, LongCatFlash};

/// Everything between input ids and logits.
#[derive(Debug)]
pub struct Omni {
    /// Shape of the language model.
    pub config: BackboneConfig,
    /// The language model.
    pub model: LongCatFlash,
    /// Input tables of the codes.
    pub codec_embedding: CodecEmbedding,
    /// The audio heads.
    pub codec_head: CodecHead,
}

impl Omni {
    /// Opens `folder`, to compute in f32 on `device`; see [`LongCatFlash::open`].
    ///
    /// # Errors
    /// Whatever is wrong with a config or a tensor.
    pub fn open(folder: &Path, device: &Device, round_activations: bool) -> Result<Self, LoadError> {
        let (config, model) = LongCatFlash::open(folder, device, round_activations)?;
        let audio = folder.join("audio");
        let tables = Checkpoint::open_part(&audio, "audio_embeddings")?;
        let codes = tables.get("audio_embeddings.0.weight").map_or(0, |t| t.shape.first().copied().unwrap_or(0));
        let codec_embedding = CodecEmbedding::load(&Weights::from_checkpoint(&tables, device, DType::F32), CODEBOOKS, codes, config.hidden_size)?;
        tables.refuse_unread(|_| false)?;
        let heads = Checkpoint::open_part(&audio, "audio_output_layers")?;
        let codec_head = CodecHead::load(&Weights::from_checkpoint(&heads, device, DType::F32).keep_narrow(), CODEBOOKS, codes, config.hidden_size)?;
        heads.refuse_unread(|_| false)?;
        Ok(Self { config, model, codec_embedding, codec_head })
    }
}
