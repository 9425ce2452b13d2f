//! The decoder: learns to speak from the codes of the finished tokenizer.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::codec::{AudioDecoder, CodecFrame, CodecIds};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::{Checkpoint, Weights};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::clips::{Clip, HIGH_SAMPLES};
use super::codes::FrameCodes;
use super::features::Features;
use super::hearing::Hearing;
use super::shape::{SEED, Shapes};
use super::spectral::SpectralLoss;
use super::{acoustic, publish, semantic};
use crate::adamw::{AdamW, Settings};
use crate::stage::{Folders, LearningRate, Stage};
use crate::transplant;

/// Frames of a step, of sentences one after the other: at least 3 s. The decoder hears whole sentences, as when it is used.
const FRAMES: usize = 50;
/// The semantic table's rows start this much larger than usual, about as large as the acoustic latents beside them.
const TABLE_SCALE: f32 = 10.0;

/// Share of the clips that are phrases, where there are any. Kitten speaks phrase by phrase, and whole sentences must
/// be understood, too: they lost more with seven in ten (docs/decisions/0017).
const PHRASES_SHARE: f64 = 0.3;

/// Sentences that tell how soft silence is.
const SILENCES: usize = 100;

/// File of the decoder below the work folder.
const FILE: &str = "codec_decoder.safetensors";

/// Trains, or goes on; publishes the decoder whenever it saves. A phrase's place stands in `phrases` as
/// often as it shall be drawn; all other clips stand before the first phrase.
///
/// # Errors
/// When a file cannot be read or written.
pub fn train(
    folders: &Folders,
    shapes: &Shapes,
    clips: &[Clip],
    phrases: &[usize],
    codes: &[Vec<FrameCodes>],
    rate: LearningRate,
    hearing_weight: f64,
) -> Result<()> {
    let mut stage = Stage::begin(folders, "codec_decoder", rate.steps, SEED + 3)?;
    let file = folders.work.join(FILE);
    let device = Device::flex().autodiff();
    let checkpoint = if stage.resumed() { Some(Checkpoint::open(&folders.state(FILE, "audio_codec/decoder.safetensors"))?) } else { None };
    let weights =
        checkpoint.as_ref().map_or_else(|| Weights::random(SEED + 3, &device), |c| Weights::from_checkpoint(c, &device, DType::F32));
    let mut decoder = AudioDecoder::load(&weights, &shapes.decoder)?;
    if !stage.resumed() {
        let (_, quantizer) = acoustic::trained(folders, shapes, &Weights::random(SEED, &device))?;
        decoder.quantizer = transplant::values(&quantizer, decoder.quantizer);
        // A leaf again: what is learnt must not hang on how it began.
        decoder.semantic.weight =
            decoder.semantic.weight.map(|table| Tensor::from_data((table * TABLE_SCALE).into_data(), &device).require_grad());
    }
    // The acoustic tables are the tokenizer's own.
    decoder.quantizer = decoder.quantizer.no_grad();
    let ids = CodecIds::new(&shapes.decoder);
    let frames: Vec<Vec<CodecFrame>> = codes.iter().map(|codes| frames(&ids, codes)).collect::<Result<_>>()?;
    let loss = SpectralLoss::new(&device);
    let listener = semantic::trained(folders, shapes, &Weights::random(SEED, &device))?;
    let floor = Features::of(&clips[..clips.len().min(SILENCES)], &shapes.semantic)?.floor();
    let hearing = Hearing::new(listener, &shapes.semantic, floor, &device)?;
    let mut optimizer = AdamW::new(Settings { beta_1: 0.8, beta_2: 0.99, epsilon: 1e-8, norm_max: 1.0, ..Settings::default() });
    let mut heard_mean = 0.0;
    let others = phrases.iter().min().map_or(clips.len(), |first| (*first).max(1));
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        let (mut said, mut wanted, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        while said.len() < FRAMES {
            let phrase = if rng.random_bool(PHRASES_SHARE) { phrases.choose(&mut rng).copied() } else { None };
            let clip = phrase.unwrap_or_else(|| rng.random_range(0..others));
            said.extend_from_slice(&frames[clip]);
            wanted.extend_from_slice(&clips[clip].high);
            lengths.push(clips[clip].high.len());
        }
        let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [said.len() * HIGH_SAMPLES, 1]), &device);
        let got = decoder.forward(&said).context("there are frames")?;
        let spectral = loss.between(&got, &wanted);
        let mut heard = Vec::new();
        let mut start = 0;
        for length in &lengths {
            heard.push(hearing.between(&got.clone().narrow(0, start, *length), &wanted.clone().narrow(0, start, *length)));
            start += length;
        }
        let heard = Tensor::cat(heard, 0).mean();
        let value = f64::from(spectral.clone().into_scalar::<f32>());
        heard_mean += 0.02 * (f64::from(heard.clone().into_scalar::<f32>()) - heard_mean);
        let distance = spectral + heard * hearing_weight;
        let gradients = GradientsParams::from_grads(distance.backward(), &decoder);
        decoder = optimizer.step(rate.at(step), decoder, gradients);
        if stage.end_step(value, &format!("heard {heard_mean:.3}")) {
            weights.save(&decoder, &file, StoredDtype::F32)?;
            publish::decoder(folders, &weights, &decoder)?;
            stage.saved()?;
        }
    }
    Ok(())
}

/// Codes as the decoder takes them.
///
/// # Errors
/// When a code is none of this decoder.
pub fn frames(ids: &CodecIds, codes: &[FrameCodes]) -> Result<Vec<CodecFrame>> {
    let frame = |[semantic, acoustic @ ..]: &FrameCodes| Ok(ids.frame(i64::from(*semantic), &acoustic.map(i64::from))?);
    codes.iter().map(frame).collect()
}
