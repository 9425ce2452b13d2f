//! The codec's files in the checkpoint: configs, tokenizer, decoder, in bf16.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use caracal_edge::codec::{AudioDecoder, AudioTokenizer};
use caracal_kernels::Weights;
use caracal_kernels::checkpoint::StoredDtype;

use super::shape::{DECODER, ENCODER, SEED, Shapes};
use super::{acoustic, semantic};
use crate::stage::Folders;
use crate::transplant;

/// The codec's folder in the checkpoint.
pub fn folder(folders: &Folders) -> PathBuf {
    folders.model.join("audio_codec")
}

/// Joins the trained halves of the tokenizer and writes its checkpoint.
///
/// # Errors
/// When one of them has not been trained, or the file cannot be written.
pub fn tokenizer(folders: &Folders, shapes: &Shapes) -> Result<()> {
    let weights = Weights::random(SEED, &Device::flex());
    let blank = AudioTokenizer::load(&weights, &shapes.encoder, &shapes.semantic, Path::new("."))?;
    let (encoder, quantizer) = acoustic::trained(folders, shapes, &Weights::random(SEED, &Device::flex()))?;
    let spoken = semantic::trained(folders, shapes, &Weights::random(SEED, &Device::flex()))?;
    let acoustic = transplant::values(&encoder, blank.acoustic);
    let quantizer = transplant::values(&quantizer, blank.quantizer);
    let semantic = transplant::values(&spoken, blank.semantic.encoder);
    save(&weights, &(acoustic, quantizer, semantic), &folder(folders).join(format!("{ENCODER}.safetensors")))
}

/// Writes the decoder's checkpoint.
///
/// # Errors
/// When the file cannot be written.
pub fn decoder(folders: &Folders, weights: &Weights, decoder: &AudioDecoder) -> Result<()> {
    save(weights, decoder, &folder(folders).join(format!("{DECODER}.safetensors")))
}

/// Aside first, so that the file which is there is always whole.
fn save(weights: &Weights, module: &impl burn::module::Module, file: &Path) -> Result<()> {
    let part = file.with_extension("part");
    weights.save(module, &part, StoredDtype::Bf16)?;
    std::fs::rename(&part, file).with_context(|| format!("{}: cannot be written", file.display()))
}
