//! The acoustic half of the tokenizer: an encoder that learns to hear the shape of each frame's spectrum, and codebooks
//! that cut this shape into codes.
//!
//! The latent is given, not found: principal components of the log-mel vectors of a frame. So the encoder learns by plain
//! regression, its latents have a meaning that does not drift, and distance between them is distance between spectra.

use std::path::Path;

use anyhow::Result;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::codec::quantizer::Group;
use caracal_edge::codec::{AcousticEncoder, GroupedResidualQuantizer, Trace};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::ops::ConvLayout;
use caracal_kernels::{Checkpoint, Weights};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::clips::{Clip, LOW_SAMPLES};
use super::features::Features;
use super::kmeans::{kmeans, nearest};
use super::principal::Principal;
use super::shape::{GROUP_CODES, LATENT, SEARCH, SEED, Shapes};
use crate::adamw::{AdamW, Settings};
use crate::stage::{Folders, LearningRate, Stage};
use crate::transplant;

/// Log-mel vectors of a frame.
const HOPS: usize = 6;
/// Frames of a step, of sentences one after the other: at least 2.4 s. Many small steps teach more than few large ones.
const FRAMES: usize = 40;
/// Iterations of k-means for each table.
const ITERATIONS: usize = 40;
/// What table rows are multiplied by before the constant is put beside them. The smaller it is, the closer the cosine
/// comes to a distance; the larger, the less the rounding to bf16 weighs.
const FLATNESS: f32 = 0.1;
/// Weight of the first latent in the constant's row: a row of zeros has no weight norm.
const NOTHING: f32 = 1e-6;

/// File of the encoder on its way, below the work folder.
const FILE: &str = "codec_acoustic.safetensors";
/// The tokenizer in the checkpoint.
const PUBLISHED: &str = "audio_codec/encoder.safetensors";
/// File of the trained encoder and its quantizer.
const TRAINED: &str = "codec_acoustic_trained.safetensors";

/// The network that is trained, and the tables behind it.
type Parts = (AcousticEncoder, GroupedResidualQuantizer);

/// Trains the encoder, then fills the codebooks; leaves both in the work folder.
///
/// # Errors
/// When a file cannot be read or written.
pub fn train(folders: &Folders, shapes: &Shapes, clips: &[Clip], rate: LearningRate) -> Result<()> {
    let mut stage = Stage::begin(folders, "codec_acoustic", rate.steps, SEED + 1)?;
    let (file, trained) = (folders.work.join(FILE), folders.work.join(TRAINED));
    // As for the semantic half: other codes would be another language.
    if folders.state(TRAINED, PUBLISHED).exists() {
        return Ok(());
    }
    let targets = targets(clips, shapes)?;
    let device = Device::flex().autodiff();
    let checkpoint = if stage.resumed() { Some(Checkpoint::open(&file)?) } else { None };
    let weights =
        checkpoint.as_ref().map_or_else(|| Weights::random(SEED + 1, &device), |c| Weights::from_checkpoint(c, &device, DType::F32));
    let (mut encoder, quantizer) = load(&weights, shapes)?;
    let mut optimizer = AdamW::new(Settings { beta_2: 0.99, epsilon: 1e-8, norm_max: 0.5, ..Settings::default() });
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        let (mut wave, mut target) = (Vec::new(), Vec::new());
        while wave.len() < FRAMES * LOW_SAMPLES {
            let clip = rng.random_range(0..clips.len());
            wave.extend_from_slice(&clips[clip].low);
            target.extend_from_slice(&targets[clip]);
        }
        let frames = wave.len() / LOW_SAMPLES;
        let wave = Tensor::<2>::from_data(TensorData::new(wave, [frames * LOW_SAMPLES, 1]), &device);
        let target = Tensor::<2>::from_data(TensorData::new(target, [frames, LATENT]), &device);
        let latent = encoder.offline(wave, &mut Trace::off()).expect("whole frames went in");
        // By the sum over a frame's latents: the share of the variance that is missed.
        let loss = (latent - target).square().sum() / frames as f64;
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(rate.at(step), encoder, gradients);
        if stage.end_step(value, "") {
            weights.save(&(encoder.clone(), quantizer.clone()), &file, StoredDtype::F32)?;
            stage.saved()?;
        }
    }
    fill_tables(&file, &trained, shapes, clips)
}

fn load(weights: &Weights, shapes: &Shapes) -> Result<Parts> {
    let quantizer = GroupedResidualQuantizer::load(&weights.at("acoustic_quantizer"), &shapes.encoder.quantizer())?;
    Ok((AcousticEncoder::load(&weights.at("encoder"), &shapes.encoder)?, quantizer))
}

/// The latents that the encoder shall give, scaled to a variance of 1 in all; flat `[frames, LATENT]` for each clip.
fn targets(clips: &[Clip], shapes: &Shapes) -> Result<Vec<Vec<f32>>> {
    let features = Features::of(clips, &shapes.semantic)?;
    let floor = features.floor();
    let patches: Vec<Vec<f32>> = clips.iter().enumerate().map(|(i, clip)| features.patches(i, clip.frames(), HOPS, floor)).collect();
    let mut rng = StdRng::seed_from_u64(SEED);
    let principal = Principal::of(&patches.concat(), HOPS * features.bands, LATENT, &mut rng);
    let kept: f64 = principal.variances.iter().sum();
    println!("acoustic: {LATENT} components keep {:.1} % of the variance of log-mel frames", 100.0 * kept / principal.total);
    let order = halves(&principal.variances);
    let scale = 1.0 / (kept.sqrt() as f32);
    let arrange = |patch: &Vec<f32>| -> Vec<f32> {
        let coordinates = principal.project(patch);
        coordinates.chunks_exact(LATENT).flat_map(|row| order.iter().map(|index| row[*index] * scale)).collect()
    };
    Ok(patches.iter().map(arrange).collect())
}

/// Order of the components in the latent, so that both halves, which are coded apart, carry about the same variance.
fn halves(variances: &[f64]) -> Vec<usize> {
    let (mut halves, mut sums) = ([Vec::new(), Vec::new()], [0.0, 0.0]);
    for (index, variance) in variances.iter().enumerate() {
        let fuller = usize::from(sums[1] > sums[0]);
        let half = if halves[1 - fuller].len() < variances.len() / 2 { 1 - fuller } else { fuller };
        halves[half].push(index);
        sums[half] += variance;
    }
    halves.concat()
}

/// Level by level, the centres of what the levels before left.
fn fill_tables(file: &Path, trained: &Path, shapes: &Shapes, clips: &[Clip]) -> Result<()> {
    let device = Device::flex();
    let checkpoint = Checkpoint::open(file)?;
    let weights = Weights::from_checkpoint(&checkpoint, &device, DType::F32);
    let (encoder, mut quantizer) = load(&weights, shapes)?;
    let mut residual = Vec::new();
    for clip in clips {
        let wave = Tensor::<2>::from_data(TensorData::new(clip.low.clone(), [clip.low.len(), 1]), &device);
        let latent = encoder.offline(wave, &mut Trace::off()).expect("whole frames went in");
        residual.extend(latent.into_data().try_into_vec::<f32>()?);
    }
    let energy = |rows: &[f32]| rows.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
    let before = energy(&residual);
    let mut rng = StdRng::seed_from_u64(SEED + 2);
    let half = LATENT / 2;
    for (level, quantizer) in quantizer.quantizers.iter_mut().enumerate() {
        for (place, group) in [&mut quantizer.a, &mut quantizer.b].into_iter().enumerate() {
            let part: Vec<f32> =
                residual.chunks_exact(LATENT).flat_map(|row| row[place * half..(place + 1) * half].iter().copied()).collect();
            let centres = kmeans(&part, half, GROUP_CODES, ITERATIONS, &mut rng);
            let chosen = nearest(&part, &centres, half);
            for (row, centre) in residual.chunks_exact_mut(LATENT).zip(chosen) {
                let centre = &centres[centre * half..(centre + 1) * half];
                row[place * half..(place + 1) * half].iter_mut().zip(centre).for_each(|(v, c)| *v -= c);
            }
            fill(group, &centres, place * half);
        }
        println!("acoustic: {} codebooks leave {:.1} % of the variance", level + 1, 100.0 * energy(&residual) / before);
    }
    Ok(weights.save(&(encoder, quantizer), trained, StoredDtype::F32)?)
}

/// Puts centres of the latent's half from `first` on into a group. Beside every scaled row, and beside every vector that
/// is searched with, stands a constant 1: the cosine between two such long, almost parallel vectors falls with the
/// square of the distance between the rows.
fn fill(group: &mut Group, centres: &[f32], first: usize) {
    let half = LATENT / 2;
    let mut way_in = vec![0.0; SEARCH * LATENT];
    (0..half).for_each(|k| way_in[k * LATENT + first + k] = FLATNESS);
    way_in[half * LATENT] = NOTHING;
    let mut way_out = vec![0.0; half * SEARCH];
    (0..half).for_each(|k| way_out[k * SEARCH + k] = 1.0 / FLATNESS);
    let table: Vec<f32> = centres.chunks_exact(half).flat_map(|row| row.iter().map(|v| v * FLATNESS).chain([1.0])).collect();
    let layout = |outputs, inputs| ConvLayout::Plain { outputs, inputs, taps: 1 };
    let panels = |layout: ConvLayout, values: &[f32]| TensorData::new(layout.to_panels(values), layout.panels());
    let way_in = panels(layout(SEARCH, LATENT), &way_in);
    let way_out = panels(layout(half, SEARCH), &way_out);
    let bias: Vec<f32> = (0..SEARCH).map(|k| if k == half { 1.0 } else { 0.0 }).collect();
    let vector = |values: Vec<f32>| TensorData::new(values.clone(), [values.len()]);
    group.in_proj.weight = group.in_proj.weight.clone().map(|old| Tensor::from_data(way_in, &old.device()));
    group.in_proj.bias = group.in_proj.bias.clone().map(|old| Tensor::from_data(vector(bias), &old.device()));
    group.out_proj.weight = group.out_proj.weight.clone().map(|old| Tensor::from_data(way_out, &old.device()));
    group.out_proj.bias = group.out_proj.bias.clone().map(|old| Tensor::from_data(vector(vec![0.0; half]), &old.device()));
    let rows = table.len() / SEARCH;
    group.codebook.weight =
        group.codebook.weight.clone().map(|old| Tensor::from_data(TensorData::new(table, [rows, SEARCH]), &old.device()));
}

/// The trained encoder and quantizer, to be saved through `weights` by their published names.
///
/// # Errors
/// When they have not been trained.
pub fn trained(folders: &Folders, shapes: &Shapes, weights: &Weights) -> Result<Parts> {
    let checkpoint = Checkpoint::open(&folders.state(TRAINED, PUBLISHED))?;
    let from = load(&Weights::from_checkpoint(&checkpoint, weights.device(), DType::F32), shapes)?;
    let (encoder, quantizer) = load(weights, shapes)?;
    Ok((transplant::values(&from.0, encoder), transplant::values(&from.1, quantizer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_edge::codec::QuantizerConfig;

    #[test]
    fn filled_tables_are_searched_by_distance_and_give_their_centres() {
        let device = Device::flex();
        let config = QuantizerConfig { latent_dim: LATENT, codebooks: 1, codebook_size: GROUP_CODES, codebook_dim: SEARCH };
        let mut quantizer = GroupedResidualQuantizer::load(&Weights::random(1, &device), &config).unwrap();
        let half = LATENT / 2;
        let mut rng = StdRng::seed_from_u64(1);
        let mut centres = || (0..GROUP_CODES * half).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
        let (a, b) = (centres(), centres());
        fill(&mut quantizer.quantizers[0].a, &a, 0);
        fill(&mut quantizer.quantizers[0].b, &b, half);
        let near = |centres: &[f32], code: usize| centres[code * half..(code + 1) * half].iter().map(|v| v + 0.1).collect::<Vec<f32>>();
        let row: Vec<f32> = [near(&a, 3), near(&b, 11)].concat();
        let quantized = quantizer.encode(Tensor::<2>::from_data(TensorData::new(row, [1, LATENT]), &device));
        assert_eq!(quantized.codes, [[3 * GROUP_CODES as u32 + 11]]);
        let sum = quantized.sum.into_data().try_to_vec::<f32>().unwrap();
        let want = [&a[3 * half..4 * half], &b[11 * half..12 * half]].concat();
        assert!(sum.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-4), "{sum:?}");
    }

    #[test]
    fn halves_share_the_variance() {
        let variances: Vec<f64> = (0..LATENT).map(|i| 0.8f64.powi(i as i32)).collect();
        let order = halves(&variances);
        let sum = |places: &[usize]| places.iter().map(|i| variances[*i]).sum::<f64>();
        assert_eq!(order.len(), LATENT);
        assert!((sum(&order[..LATENT / 2]) / sum(&order[LATENT / 2..])).ln().abs() < 0.2);
    }
}
