//! The semantic tokenizer: learns with CTC what is said, then its features are clustered into codes.
//!
//! A codec frame of 60 ms often holds more than one phoneme, so the classifier that only training has gives three rows
//! of logits for each frame, 20 ms each: to place its phonemes there, a feature must carry what is said in its frame.

use std::path::Path;

use anyhow::Result;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::codec::semantic_tokenizer::SemanticEncoder;
use caracal_edge::codec::{SemanticTokenizer, Trace};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::layers::Linear;
use caracal_kernels::{Checkpoint, Weights};
use rand::Rng;
use rand::rngs::StdRng;

use super::clips::Clip;
use super::features::Features;
use super::kmeans::kmeans;
use super::shape::{SEED, SEMANTIC_CODES, SEMANTIC_WIDTH, Shapes};
use crate::adamw::{AdamW, Settings};
use crate::ctc::{ctc_loss, edits, greedy};
use crate::phones::Phones;
use crate::stage::{Folders, LearningRate, Stage};
use crate::transplant;

/// Rows of logits for each frame.
const SLOTS: usize = 3;
/// Sentences of a step.
const BATCH: usize = 8;
/// How much louder or softer a sentence may become, in natural logarithms of energy.
const GAIN: f32 = 1.5;
/// Most hops that are blanked at one place of a sentence.
const MASK_HOPS: usize = 10;
/// Iterations of k-means.
const ITERATIONS: usize = 30;

/// File of the network on its way, below the work folder.
const FILE: &str = "codec_semantic.safetensors";
/// The tokenizer in the checkpoint.
const PUBLISHED: &str = "audio_codec/encoder.safetensors";
/// File of the trained tokenizer with its codes.
const TRAINED: &str = "codec_semantic_trained.safetensors";

/// What has the tokenizer's parameters, and the classifier of training.
type Network = (SemanticEncoder, Linear);

/// Trains, clusters, and leaves the tokenizer in the work folder.
///
/// # Errors
/// When a file cannot be read or written.
pub fn train(folders: &Folders, shapes: &Shapes, clips: &[Clip], held_out: &[Clip], steps: usize) -> Result<()> {
    let trained = folders.work.join(TRAINED);
    // A tokenizer that is in the checkpoint stays: other codes would be another language.
    if folders.state(TRAINED, PUBLISHED).exists() {
        return Ok(());
    }
    let phones = Phones::of(clips.iter().map(|clip| clip.phonemes.as_str()));
    let features = Features::of(clips, &shapes.semantic)?;
    let labels: Vec<Vec<u32>> = clips.iter().map(|clip| phones.labels(&clip.phonemes)).collect();
    let mut stage = Stage::begin(folders, "codec_semantic", steps, SEED)?;
    let file = folders.work.join(FILE);
    let device = Device::flex().autodiff();
    let checkpoint = if stage.resumed() { Some(Checkpoint::open(&file)?) } else { None };
    let weights = checkpoint.as_ref().map_or_else(|| Weights::random(SEED, &device), |c| Weights::from_checkpoint(c, &device, DType::F32));
    let mut network = load(&weights, shapes, &phones)?;
    if !stage.resumed() {
        let (mean, scale) = features.statistics();
        let values = |values: Vec<f32>| Tensor::<1>::from_data(TensorData::new(values, [features.bands]), &device);
        network.0.cmvn_mean = network.0.cmvn_mean.map(|_| values(mean));
        network.0.cmvn_scale = network.0.cmvn_scale.map(|_| values(scale));
    }
    network.0.cmvn_mean = network.0.cmvn_mean.set_require_grad(false);
    network.0.cmvn_scale = network.0.cmvn_scale.set_require_grad(false);
    let rate = LearningRate { peak: 1.5e-3, floor: 0.02, warmup: 100, steps };
    let mut optimizer = AdamW::new(Settings { weight_decay: 0.01, ..Settings::default() });
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        let batch: Vec<(Tensor<2>, &[u32])> = (0..BATCH)
            .map(|_| {
                let clip = rng.random_range(0..clips.len());
                let vectors = roughen(&features.clips[clip], features.bands, &mut rng);
                (logits(&network, vectors, features.bands, &device), labels[clip].as_slice())
            })
            .collect();
        let loss = ctc_loss(&batch);
        if let Some(surrogate) = loss.surrogate {
            let gradients = GradientsParams::from_grads(surrogate.backward(), &network);
            network = optimizer.step(rate.at(step), network, gradients);
        }
        if stage.end_step(loss.value, &format!("skipped {}", loss.skipped)) {
            weights.save(&network, &file, StoredDtype::F32)?;
            stage.saved()?;
            println!("semantic: phoneme errors on held-out sentences {:.2} %", errors(&file, shapes, &phones, held_out)?);
        }
    }
    cluster(&file, &trained, shapes, &phones, &features)
}

fn load(weights: &Weights, shapes: &Shapes, phones: &Phones) -> Result<Network> {
    let tokenizer = SemanticTokenizer::load(&weights.at("semantic_tokenizer"), &shapes.semantic, Path::new("."))?;
    Ok((tokenizer.encoder, Linear::load(&weights.at("ctc_head"), SEMANTIC_WIDTH, SLOTS * phones.classes(), true)?))
}

/// One row for each slot of each frame.
fn logits((encoder, head): &Network, features: Vec<f32>, bands: usize, device: &Device) -> Tensor<2> {
    let features = Tensor::<2>::from_data(TensorData::new(features.clone(), [features.len() / bands, bands]), device);
    let rows = head.forward(encoder.hidden(features, &mut Trace::off()));
    let [frames, width] = rows.dims();
    rows.reshape([frames * SLOTS, width / SLOTS])
}

/// Another loudness, and two short places blanked.
fn roughen(features: &[f32], bands: usize, rng: &mut StdRng) -> Vec<f32> {
    let gain = rng.random_range(-GAIN..GAIN);
    let mut features: Vec<f32> = features.iter().map(|value| value + gain).collect();
    let hops = features.len() / bands;
    for _ in 0..2 {
        let length = rng.random_range(0..MASK_HOPS);
        let first = rng.random_range(0..hops.saturating_sub(length).max(1));
        let blank = features[..bands].to_vec();
        features[first * bands..(first + length).min(hops) * bands].chunks_exact_mut(bands).for_each(|hop| hop.copy_from_slice(&blank));
    }
    features
}

fn errors(file: &Path, shapes: &Shapes, phones: &Phones, clips: &[Clip]) -> Result<f64> {
    let device = Device::flex();
    let checkpoint = Checkpoint::open(file)?;
    let network = load(&Weights::from_checkpoint(&checkpoint, &device, DType::F32), shapes, phones)?;
    let features = Features::of(clips, &shapes.semantic)?;
    let (mut wrong, mut total) = (0, 0);
    for (clip, vectors) in clips.iter().zip(&features.clips) {
        let logits = logits(&network, vectors.clone(), features.bands, &device).into_data().try_into_vec::<f32>()?;
        let want = phones.labels(&clip.phonemes);
        wrong += edits(&want, &greedy(&logits, phones.classes()));
        total += want.len();
    }
    Ok(100.0 * wrong as f64 / total.max(1) as f64)
}

/// Clusters the features of all sentences, each brought to length 1 as the search does.
fn cluster(file: &Path, trained: &Path, shapes: &Shapes, phones: &Phones, features: &Features) -> Result<()> {
    let device = Device::flex();
    let checkpoint = Checkpoint::open(file)?;
    let weights = Weights::from_checkpoint(&checkpoint, &device, DType::F32);
    let (mut encoder, head) = load(&weights, shapes, phones)?;
    let mut rows = Vec::new();
    for vectors in &features.clips {
        let data = TensorData::new(vectors.clone(), [vectors.len() / features.bands, features.bands]);
        let hidden = encoder.hidden(Tensor::from_data(data, &device), &mut Trace::off()).into_data().try_into_vec::<f32>()?;
        for row in hidden.chunks_exact(SEMANTIC_WIDTH) {
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            rows.extend(row.iter().map(|v| v / length));
        }
    }
    let mut rng = <StdRng as rand::SeedableRng>::seed_from_u64(SEED);
    let centres = kmeans(&rows, SEMANTIC_WIDTH, SEMANTIC_CODES, ITERATIONS, &mut rng);
    let centres = Tensor::<2>::from_data(TensorData::new(centres, [SEMANTIC_CODES, SEMANTIC_WIDTH]), &device);
    encoder.codebook = encoder.codebook.map(|_| centres.transpose());
    Ok(weights.save(&(encoder, head), trained, StoredDtype::F32)?)
}

/// The trained tokenizer with its codes, to be saved through `weights` by its published names.
///
/// # Errors
/// When it has not been trained.
pub fn trained(folders: &Folders, shapes: &Shapes, weights: &Weights) -> Result<SemanticEncoder> {
    let checkpoint = Checkpoint::open(&folders.state(TRAINED, PUBLISHED))?;
    let source = Weights::from_checkpoint(&checkpoint, weights.device(), DType::F32);
    let from = SemanticTokenizer::load(&source.at("semantic_tokenizer"), &shapes.semantic, Path::new("."))?.encoder;
    let to = SemanticTokenizer::load(&weights.at("semantic_tokenizer"), &shapes.semantic, Path::new("."))?.encoder;
    Ok(transplant::values(&from, to))
}
