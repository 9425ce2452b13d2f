//! Everything that the language model's stages train, and its files in the published layout.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{DType, Device};
use caracal_cluster::backbone::projection::Stored;
use caracal_cluster::backbone::{BackboneConfig, CodecEmbedding, CodecHead, LongCatFlash};
use caracal_edge::audio::AudioProjector;
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, LoadError, Weights};
use caracal_shared::reply::CODEBOOKS;

use super::shape::{CODES, SEED};

/// The language model with its audio tables and heads, and the projector of what is heard.
#[derive(Module, Debug)]
pub struct Brain {
    /// LongCat-Flash.
    pub language: LongCatFlash,
    /// Tables of the codes that it reads.
    pub codec: CodecEmbedding,
    /// Heads of the codes that it speaks.
    pub head: CodecHead,
    /// From the audio encoder's width to its own.
    pub ears: AudioProjector,
}

/// A [`Brain`]'s shape, and where each of its parameters is stored.
pub struct BrainFiles {
    /// Its shape.
    pub config: BackboneConfig,
    names: [Weights<'static>; 4],
}

/// Files of the parts, in the order of [`Brain`]'s fields.
const FILES: [&str; 4] = [
    "model.safetensors",
    "audio/audio_embeddings.safetensors",
    "audio/audio_output_layers.safetensors",
    "audio/audio_projector.safetensors",
];

impl BrainFiles {
    /// Loads the parts that `folder` holds; the others start from random weights. `heard` is the width of the audio
    /// encoder's output.
    ///
    /// # Errors
    /// Whatever is wrong with the config or a tensor.
    pub fn open(folder: &Path, heard: usize, device: &Device) -> Result<(Self, Brain)> {
        let config = BackboneConfig::read(folder)?;
        let width = config.hidden_size;
        let (language, a) = part(folder, 0, device, |weights| LongCatFlash::load(weights, &config, &Stored::default()))?;
        let (codec, b) = part(folder, 1, device, |weights| CodecEmbedding::load(weights, CODEBOOKS, CODES, width))?;
        let (head, c) = part(folder, 2, device, |weights| CodecHead::load(weights, CODEBOOKS, CODES, width))?;
        let (ears, d) = part(folder, 3, device, |weights| AudioProjector::load(weights, heard, width))?;
        Ok((Self { config, names: [a, b, c, d] }, Brain { language, codec, head, ears }))
    }

    /// Writes all files, in bf16.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, brain: &Brain, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder.join("audio"))?;
        let dtype = StoredDtype::Bf16;
        let [language, codec, head, ears] = &self.names;
        language.save(&brain.language, &folder.join(FILES[0]), dtype)?;
        codec.save(&brain.codec, &folder.join(FILES[1]), dtype)?;
        head.save(&brain.head, &folder.join(FILES[2]), dtype)?;
        ears.save(&brain.ears, &folder.join(FILES[3]), dtype)?;
        // The release stores the table a second time under its own name.
        let table = &brain.language.embed_tokens;
        let [entries, width] = table.weight.dims();
        let weights = Weights::random(0, &table.weight.val().device());
        let mut copy = Embedding::load(&weights.at("word_embeddings"), entries, width)?;
        let values = table.weight.val();
        copy.weight = copy.weight.map(|_| values);
        Ok(weights.save(&copy, &folder.join("language_model_embedding.safetensors"), dtype)?)
    }
}

/// One part and its names, from its file if there is one.
fn part<M>(folder: &Path, index: usize, device: &Device, load: impl Fn(&Weights) -> Result<M, LoadError>) -> Result<(M, Weights<'static>)> {
    let (file, seed) = (folder.join(FILES[index]), SEED + index as u64);
    if !file.exists() {
        let weights = Weights::random(seed, device);
        return Ok((load(&weights)?, weights));
    }
    let checkpoint = Checkpoint::open(&file)?;
    let weights = Weights::from_checkpoint(&checkpoint, device, DType::F32);
    Ok((load(&weights)?, weights.without_file(seed)))
}
