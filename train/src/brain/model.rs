//! Everything that the language model's stages train, and its files in the published layout.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{DType, Device};
use caracal_cluster::backbone::projection::Stored;
use caracal_cluster::backbone::{BackboneConfig, CodecEmbedding, CodecHead, LongCatFlash};
use caracal_edge::audio::AudioProjector;
use caracal_edge::vision::VisionProjector;
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, LoadError, Weights};
use caracal_shared::reply::CODEBOOKS;

use super::shape::{CODES, SEED};
use crate::eyes::network;

/// The language model with its audio tables and heads, and the projectors of what is heard and seen.
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
    /// From pairs of patches to its own, once there are eyes.
    pub eyes: Option<VisionProjector>,
}

/// A [`Brain`]'s shape, and where each of its parameters is stored.
pub struct BrainFiles {
    /// Its shape.
    pub config: BackboneConfig,
    names: [Weights<'static>; 5],
}

/// Files of the parts, in the order of [`Brain`]'s fields.
const FILES: [&str; 5] = [
    "model.safetensors",
    "audio/audio_embeddings.safetensors",
    "audio/audio_output_layers.safetensors",
    "audio/audio_projector.safetensors",
    "vision/vision_projector.safetensors",
];

impl BrainFiles {
    /// Loads the parts that `folder` holds; the others start from random weights, except the eyes' projector, which is the eyes' to begin. `heard` is the width of the audio
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
        let (eyes, e) = part(folder, 4, device, |weights| VisionProjector::load(weights, &network::config().vit, width))?;
        let eyes = folder.join(FILES[4]).exists().then_some(eyes);
        Ok((Self { config, names: [a, b, c, d, e] }, Brain { language, codec, head, ears, eyes }))
    }

    /// Writes all files, in bf16.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, brain: &Brain, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder.join("audio"))?;
        let dtype = StoredDtype::Bf16;
        let [language, codec, head, ears, eyes] = &self.names;
        language.save(&brain.language, &folder.join(FILES[0]), dtype)?;
        codec.save(&brain.codec, &folder.join(FILES[1]), dtype)?;
        head.save(&brain.head, &folder.join(FILES[2]), dtype)?;
        ears.save(&brain.ears, &folder.join(FILES[3]), dtype)?;
        if let Some(projector) = &brain.eyes {
            eyes.save(projector, &folder.join(FILES[4]), dtype)?;
        }
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

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::{Tensor, TensorData};
    use caracal_edge::vision::{RopeTable, VisionEncoder};
    use caracal_shared::prompt::{Item, Message, Role};

    use super::*;
    use crate::brain::batch::Batch;
    use crate::brain::sample::{Perceived, Sampler, answer};
    use crate::brain::training::optimiser;
    use crate::brain::{shape, tokenizer_file};
    use network::{Named, OUTPUT, PAIR};

    const HEARD: usize = 8;
    const TOKENS: u32 = 4;

    #[test]
    fn the_eyes_projector_learns_with_the_language_model_and_the_loader_of_the_release_finds_it() {
        let folder = std::env::temp_dir().join(format!("caracal-brain-eyes-{}", std::process::id()));
        let device = Device::flex().autodiff();
        tokenizer_file::write(&folder, 1).unwrap();
        shape::write(&folder).unwrap();
        let (files, blind) = BrainFiles::open(&folder, HEARD, &device).unwrap();
        files.save(&blind, &folder).unwrap();
        assert!(blind.eyes.is_none() && !folder.join(FILES[4]).exists(), "the eyes are not the language model's to begin");
        Named::random(3, &Device::flex()).unwrap().ship(&folder).unwrap();
        let (files, brain) = BrainFiles::open(&folder, HEARD, &device).unwrap();

        let sampler = Sampler::open(&folder).unwrap();
        let patches: Vec<f32> = (0..TOKENS as usize * PAIR).map(|i| (i as f32 * 0.7).sin()).collect();
        let seen = Message { role: Role::User, items: vec![Item::Image { tokens: TOKENS }] };
        let perceived = Perceived { audio: Vec::new(), image: patches.clone() };
        let batch = Batch::new(vec![sampler.sample(&[seen, answer("Yes.")], perceived, HEARD, PAIR).unwrap()]);
        let loss = batch.embed(&brain, sampler.markers(), HEARD, &device).square().sum();
        let rows = |project: &dyn Fn(Tensor<2>) -> Tensor<2>, device: &Device| -> Vec<f32> {
            let x = Tensor::from_data(TensorData::new(patches.clone(), [2 * TOKENS as usize, PAIR / 2]), (device, DType::F32));
            project(x).into_data().try_into_vec().unwrap()
        };
        let of_brain = |brain: &Brain| rows(&|x| brain.eyes.as_ref().unwrap().forward(x), &device);
        let before = of_brain(&brain);
        let gradients = GradientsParams::from_grads(loss.backward(), &brain);
        let brain = optimiser().step(1e-2, brain, gradients);
        files.save(&brain, &folder).unwrap();

        let after = of_brain(&brain);
        let (shipped, _) = VisionEncoder::open(&folder, OUTPUT, &Device::flex(), DType::F32, RopeTable::Demo).unwrap();
        let found = rows(&|x| shipped.project(x), &Device::flex());
        std::fs::remove_dir_all(folder).unwrap();
        let off = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert_eq!(found.len(), TOKENS as usize * OUTPUT);
        assert!(off(&found, &after) < 0.1 * off(&before, &after), "{} of {}", off(&found, &after), off(&before, &after));
    }
}
