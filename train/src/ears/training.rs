//! The training loop: CTC over words, and over their sounds, on the audio encoder that inference runs.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::audio::{AudioEncoder, AudioEncoderConfig, FrontEnd};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::layers::Linear;
use caracal_kernels::{Checkpoint, Weights};

use super::corpus::{Batch, Corpus, Lesson};
use super::sounds::Sounds;
use super::{evaluation, layout};
use crate::adamw::{AdamW, Settings};
use crate::ctc::ctc_loss;
use crate::shares::{SHARES, Workers};
use crate::stage::{Folders, LearningRate, Stage, rng};
use crate::transplant;

/// Steps of training.
pub const STEPS: usize = 28_000;
/// What training goes on from, below the work folder, and the encoder in the checkpoint.
const STATE: &str = "ears.safetensors";
const PUBLISHED: &str = "audio/audio_encoder.safetensors";
/// Utterances of a step, of all shares together.
const UTTERANCES: usize = 24;
/// Utterances that the statistics are computed from.
const STATISTICS_UTTERANCES: usize = 1000;
/// Steps whose sentences are drawn ahead.
const STEPS_AHEAD: usize = 3;
/// Rows of sounds for each row of the encoder: 27 ms each.
const SLOTS: usize = 3;
/// Weight of a sound's nat beside a word's: a word has three or four sounds.
const SOUNDS_WEIGHT: f64 = 2.0;
/// What batches are drawn from.
const SEED: u64 = 21;
/// What the weights start from.
const WEIGHTS_SEED: u64 = 31;
/// Steps after a start or a stop in which the optimiser finds its moments: the rate rises over them.
const MOMENTS_STEPS: usize = 100;
/// Steps in which a new classifier of sounds learns alone: what it would ask of the encoder is noise as long as it knows nothing.
const ALONE_STEPS: usize = 300;
/// Highest learning rate.
const RATE: f64 = 1.5e-3;

/// The encoder with its classifier of words, and the classifier of sounds that only training has.
type Learner = (AudioEncoder, Linear);

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
    let state = folders.work.join(STATE);
    let device = Device::flex().autodiff();
    let before = folders.state(STATE, PUBLISHED);
    let checkpoint = if stage.resumed() { Some(Checkpoint::open(&before)?) } else { None };
    let weights = match &checkpoint {
        Some(checkpoint) => Weights::from_checkpoint(checkpoint, &device, DType::F32),
        None => Weights::random(WEIGHTS_SEED, &device),
    };
    let Some(first) = stage.next_step() else { return Ok(()) };
    let sounds = Sounds::of(&corpus.units)?;
    let encoder = AudioEncoder::load(&weights, &config)?;
    // The published encoder has no head for sounds.
    let known = weights.holds("sounds.weight");
    let beside = if known { weights.clone() } else { weights.without_file(WEIGHTS_SEED) };
    let head = Linear::load(&beside.at("sounds"), config.output_size(), SLOTS * sounds.classes(), true)?;
    let mut learner = (encoder, head);
    let mut optimizer = AdamW::new(Settings { epsilon: 1e-8, weight_decay: 0.01, norm_max: 1.0, ..Settings::default() });
    let rate = LearningRate { peak: RATE, floor: 0.02, warmup: 300, steps };

    let draw = |step: usize| -> Result<Vec<Batch>> {
        let mut rng = rng(SEED, step);
        (0..SHARES).map(|_| corpus.batch(&front_end, UTTERANCES / SHARES, Lesson::at(step), &mut rng)).collect()
    };
    let workers = Workers::start()?;
    std::thread::scope(|scope| {
        // Sentences are drawn ahead of the steps, so that no core waits while the optimiser has one to itself.
        let (ahead, drawn) = sync_channel(STEPS_AHEAD);
        scope.spawn(move || (first..steps).all(|step| ahead.send(draw(step)).is_ok()));
        while let Some(step) = stage.next_step() {
            let shares = drawn.recv().context("no sentences are drawn any more")??;
            let found = ((step - first + 1) as f64 / MOMENTS_STEPS as f64).min(1.0);
            let teach = known || step >= first + ALONE_STEPS;
            let learnt = workers.learn(&shares, |batch| learn(learner.clone().fork(&device), batch, &sounds, teach, &config, &device));
            let mut gradients = GradientsAccumulator::new();
            let (mut words, mut by_sound) = (0.0, 0.0);
            for share in learnt {
                words += share.words / SHARES as f64;
                by_sound += share.sounds / SHARES as f64;
                share.gradients.into_iter().for_each(|share| gradients.accumulate(&learner, share));
            }
            learner = optimizer.step(rate.at(step) * found, learner, gradients.grads());
            if stage.end_step(words, &format!("sounds {by_sound:.2}")) {
                save(&weights, &learner, &folder, &state)?;
                stage.saved()?;
                eprintln!("ears {}: {}", step + 1, evaluation::glance(folders, &corpus.listening)?);
            }
        }
        Ok(())
    })
}

/// Publishes the mean of the trained encoder and of the one in `file`.
///
/// # Errors
/// When one of them is no encoder of this shape, or a file cannot be written.
pub fn publish_mean(folders: &Folders, file: &Path) -> Result<()> {
    let folder = layout::folder(folders);
    let config = AudioEncoderConfig::read(&folder.join("config.json"))?;
    let (trained, earlier) = (Checkpoint::open(&folders.state(STATE, PUBLISHED))?, Checkpoint::open(file)?);
    let device = Device::flex();
    let weights = Weights::from_checkpoint(&trained, &device, DType::F32);
    let other = AudioEncoder::load(&Weights::from_checkpoint(&earlier, &device, DType::F32), &config)?;
    let encoder = transplant::mean(&other, AudioEncoder::load(&weights, &config)?);
    Ok(weights.save(&encoder, &folders.model.join(PUBLISHED), StoredDtype::Bf16)?)
}

/// What one share of a step gives.
struct Learnt {
    /// Unless none of its utterances can be aligned.
    gradients: Option<GradientsParams>,
    /// Nats a word.
    words: f64,
    /// Nats a sound.
    sounds: f64,
}

/// `teach`: whether sounds teach the encoder, or their classifier alone.
fn learn(learner: Learner, batch: &Batch, sounds: &Sounds, teach: bool, config: &AudioEncoderConfig, device: &Device) -> Learnt {
    let (encoder, head) = &learner;
    let rows = batch.lengths.iter().sum();
    let x = Tensor::<2>::from_data(TensorData::new(batch.features.clone(), [rows, config.input_size]), device);
    let heard = encoder.offline_joined(x, &batch.lengths);
    let by_sound: Vec<Vec<u32>> = batch.labels.iter().map(|words| sounds.labels(words)).collect();
    let words = ctc_loss(&utterances(encoder.ctc_head(heard.clone()), &batch.lengths, &batch.labels, 1));
    let logits = head.forward(if teach { heard } else { heard.detach() }).reshape([rows * SLOTS, sounds.classes()]);
    let sounds = ctc_loss(&utterances(logits, &batch.lengths, &by_sound, SLOTS));
    let both = match (words.surrogate, sounds.surrogate) {
        (Some(words), Some(sounds)) => Some(words + sounds * SOUNDS_WEIGHT),
        (words, sounds) => words.or(sounds),
    };
    let gradients = both.map(|both| GradientsParams::from_grads((both * (1.0 / SHARES as f64)).backward(), &learner));
    Learnt { gradients, words: words.value, sounds: sounds.value }
}

/// The logits of each utterance, `slots` rows for each of its rows, with its labels.
fn utterances<'l>(logits: Tensor<2>, lengths: &[usize], labels: &'l [Vec<u32>], slots: usize) -> Vec<(Tensor<2>, &'l [u32])> {
    let [_, classes] = logits.dims();
    let mut from = 0;
    let mut next = |length: &usize| {
        from += slots * length;
        logits.clone().slice([from - slots * length..from, 0..classes])
    };
    lengths.iter().zip(labels).map(|(length, labels)| (next(length), labels.as_slice())).collect()
}

/// Writes the state to go on from in full precision, and the checkpoint in bf16.
fn save(weights: &Weights, learner: &Learner, folder: &Path, state: &Path) -> Result<()> {
    let unfinished = state.with_extension("part");
    weights.save(learner, &unfinished, StoredDtype::F32)?;
    std::fs::rename(&unfinished, state).with_context(|| format!("{}: cannot be written", state.display()))?;
    Ok(weights.save(&learner.0, &folder.join("audio_encoder.safetensors"), StoredDtype::Bf16)?)
}
