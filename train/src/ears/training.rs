//! The training loop: CTC over words on the audio encoder that inference runs.

use std::path::Path;

use anyhow::{Context, Result};
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::audio::{AudioEncoder, AudioEncoderConfig, FrontEnd};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::{Checkpoint, Weights};

use super::corpus::{Batch, Corpus, Lesson};
use super::{evaluation, layout};
use crate::ctc::ctc_loss;
use crate::stage::{Folders, LearningRate, Stage};

/// Steps of training.
pub const STEPS: usize = 28_000;
/// Utterances of a step.
const UTTERANCES: usize = 24;
/// Utterances that the statistics are computed from.
const STATISTICS_UTTERANCES: usize = 1000;
/// What batches are drawn from.
const SEED: u64 = 21;
/// What the weights start from.
const WEIGHTS_SEED: u64 = 31;
/// Steps after a start or a stop in which the optimiser finds its moments: the rate rises over them.
const MOMENTS_STEPS: usize = 100;
/// Highest learning rate.
const RATE: f64 = 1.5e-3;

/// Trains the encoder, or goes on, and writes the `audio` folder of the checkpoint whenever it saves.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(folders: &Folders, corpus: &Corpus, steps: usize) -> Result<()> {
    let folder = layout::folder(folders);
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let mut stage = Stage::begin(folders, "ears", steps, SEED)?;
    corpus.units.write(&folder.join(evaluation::UNITS_FILE))?;
    let config = layout::write_encoder_config(&folder, corpus.units.count())?;
    let front_end = if stage.resumed() {
        FrontEnd::open(&folder)?
    } else {
        let front_end = layout::write_front_end_config(&folder)?;
        layout::write_statistics(&folder, &front_end, corpus.heard(STATISTICS_UTTERANCES, SEED)?.into_iter())?
    };
    let state = folders.work.join("ears.safetensors");
    let device = Device::flex().autodiff();
    let before = folders.state("ears.safetensors", "audio/audio_encoder.safetensors");
    let checkpoint = if stage.resumed() { Some(Checkpoint::open(&before)?) } else { None };
    let weights = match &checkpoint {
        Some(checkpoint) => Weights::from_checkpoint(checkpoint, &device, DType::F32),
        None => Weights::random(WEIGHTS_SEED, &device),
    };
    let mut encoder = AudioEncoder::load(&weights, &config)?;
    let optimizer =
        AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
    let mut optimizer = optimizer.init();
    let rate = LearningRate { peak: RATE, floor: 0.02, warmup: 300, steps };

    let Some(first) = stage.next_step() else { return Ok(()) };
    let mut batch = corpus.batch(&front_end, UTTERANCES, Lesson::at(first), &mut stage.rng(first))?;
    while let Some(step) = stage.next_step() {
        // The next batch is made beside the step, on a core that is free.
        let mut following = stage.rng(step + 1);
        let found = ((step - first + 1) as f64 / MOMENTS_STEPS as f64).min(1.0);
        let (stepped, next) = rayon::join(
            || learn(encoder, &mut optimizer, &batch, &config, rate.at(step) * found, &device),
            || corpus.batch(&front_end, UTTERANCES, Lesson::at(step + 1), &mut following),
        );
        let (learnt, loss) = stepped;
        (encoder, batch) = (learnt, next?);
        if stage.end_step(loss, "") {
            save(&weights, &encoder, &folder, &state)?;
            stage.saved()?;
            eprintln!("ears {}: {}", step + 1, evaluation::glance(folders, &corpus.listening)?);
        }
    }
    Ok(())
}

/// One step. Returns the loss in nats a word.
fn learn(
    encoder: AudioEncoder,
    optimizer: &mut ModuleOptimizer,
    batch: &Batch,
    config: &AudioEncoderConfig,
    rate: f64,
    device: &Device,
) -> (AudioEncoder, f64) {
    let rows = batch.lengths.iter().sum();
    let x = Tensor::<2>::from_data(TensorData::new(batch.features.clone(), [rows, config.input_size]), device);
    let scores = encoder.ctc_head(encoder.offline_joined(x, &batch.lengths));
    let mut from = 0;
    let utterances: Vec<_> = batch
        .lengths
        .iter()
        .zip(&batch.labels)
        .map(|(length, labels)| {
            from += length;
            (scores.clone().slice([from - length..from, 0..config.vocab_size]), labels.as_slice())
        })
        .collect();
    let loss = ctc_loss(&utterances);
    let Some(surrogate) = loss.surrogate else { return (encoder, loss.value) };
    let gradients = GradientsParams::from_grads(surrogate.backward(), &encoder);
    (optimizer.step(rate, encoder, gradients), loss.value)
}

/// Writes the state to go on from in full precision, and the checkpoint in bf16.
fn save(weights: &Weights, encoder: &AudioEncoder, folder: &Path, state: &Path) -> Result<()> {
    let unfinished = state.with_extension("part");
    weights.save(encoder, &unfinished, StoredDtype::F32)?;
    std::fs::rename(&unfinished, state).with_context(|| format!("{}: cannot be written", state.display()))?;
    Ok(weights.save(encoder, &folder.join("audio_encoder.safetensors"), StoredDtype::Bf16)?)
}
