//! The loop that every stage runs in which the whole language model learns.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use caracal_shared::tokenize::Markers;
use rand::rngs::StdRng;

use super::balance::{Load, rebalance};
use super::batch::{Batch, batches};
use super::curriculum::{Lessons, Mix};
use super::lesson::Teacher;
use super::loss::{Losses, losses};
use super::measure::measure;
use super::model::{Brain, BrainFiles};
use super::shape::SEED;
use crate::adamw::{AdamW, Settings};
use crate::shares::{SHARES, Workers};
use crate::stage::{Folders, LearningRate, Stage, rng};

/// Rows of a step, of all shares together.
const ROWS: usize = 2048;
/// Steps whose samples are drawn and sorted by length together.
const POOL: usize = 6;
/// Share of the frames that are read wrong, and of those of which the acoustic codes alone are.
const MISREAD: f64 = 0.1;
const MISREAD_SOUNDS: f64 = 0.4;
/// How fast the router's biases move.
const BIAS_RATE: f64 = 2e-3;
/// Steps until the learning rate is at its highest.
const WARMUP: usize = 100;
/// Weight of the newest part in the averages that are shown.
const SMOOTHING: f64 = 0.03;

/// Runs a stage, or goes on with it.
///
/// # Errors
/// When a file cannot be read or written, or a lesson not be rendered.
pub fn run(folders: &Folders, teacher: &mut Teacher, lessons: &Lessons) -> Result<()> {
    let device = Device::flex().autodiff();
    let mut stage = Stage::begin(folders, lessons.name, lessons.steps, SEED)?;
    let Some(first) = stage.next_step() else { return Ok(()) };
    let (files, mut brain) = BrainFiles::open(&folders.model, teacher.heard, &device)?;
    let rate = LearningRate { peak: lessons.rate, floor: lessons.floor, warmup: WARMUP, steps: lessons.steps };
    let mut optimiser = optimiser();
    let mut parts = Parts::default();
    let mut load = Load::default();
    let workers = Workers::start()?;
    let (markers, heard) = (*teacher.sampler.markers(), teacher.heard);
    let teacher = Mutex::new(teacher);
    let lock = || teacher.lock().expect("nobody panics with the teacher");
    std::thread::scope(|scope| {
        // Lessons are drawn ahead of the steps: rendering and hearing them takes about as long as learning from them, and
        // while the optimiser works a core would wait.
        let (ahead, drawn) = sync_channel(POOL);
        scope.spawn(move || {
            let mut pool = Vec::new();
            (first..lessons.steps).all(|step| {
                // Nobody has the teacher while this waits for room: the loop below wants it, too.
                let shares = draw(&mut pool, &mut lock(), &lessons.mix, &mut rng(SEED, step));
                ahead.send(shares).is_ok()
            })
        });
        while let Some(step) = stage.next_step() {
            let shares: Vec<Batch> = drawn.recv().context("no lessons are drawn any more")??;
            let learnt = workers.learn(&shares, |batch| learn(brain.clone().fork(&device), batch, &markers, heard, &device));
            let mut gradients = GradientsAccumulator::new();
            let mut text = None;
            load = Load::default();
            for share in learnt {
                gradients.accumulate(&brain, share.gradients);
                load.add(&share.load);
                parts.take(&share.losses);
                text = text.or(share.losses.text).or(share.losses.audio_text);
            }
            brain = optimiser.step(rate.at(step), brain, gradients.grads());
            rebalance(&mut brain.language, &load, BIAS_RATE);
            if stage.end_step(text.unwrap_or_default(), &parts.to_string()) {
                files.save(&brain, &folders.model)?;
                stage.saved()?;
                eprintln!("{}", measure(&brain.valid(), &mut lock(), &lessons.mix)?);
            }
        }
        anyhow::Ok(())
    })?;
    let (identity, spread) = load.report(files.config.n_routed_experts);
    eprintln!(
        "{}: {:.0} % of choices fall on experts without weights; least and most loaded by layer {spread:.2?}",
        lessons.name,
        identity * 100.0
    );
    Ok(())
}

/// The batches of a step, one a share, from a pool that is filled for [`POOL`] steps whenever it is short.
fn draw(pool: &mut Vec<Batch>, teacher: &mut Teacher, mix: &Mix, rng: &mut StdRng) -> Result<Vec<Batch>> {
    while pool.len() < SHARES {
        pool.extend(batches(teacher.lessons(mix, ROWS * POOL, rng)?, ROWS / SHARES, rng));
    }
    let mut shares = pool.split_off(pool.len() - SHARES);
    shares.iter_mut().for_each(|batch| batch.misread(MISREAD, MISREAD_SOUNDS, rng));
    Ok(shares)
}

/// What one share of a step gives.
struct Learnt {
    gradients: GradientsParams,
    losses: Losses,
    load: Load,
}

fn learn(brain: Brain, batch: &Batch, markers: &Markers, heard: usize, device: &Device) -> Learnt {
    let mut load = Load::default();
    let x = batch.embed(&brain, markers, heard, device);
    let hidden = brain.language.offline(x, batch.samples, &mut load);
    let losses = losses(&brain, batch, hidden);
    let gradients = (losses.total.clone() * (1.0 / SHARES as f64)).backward();
    Learnt { gradients: GradientsParams::from_grads(gradients, &brain), losses, load }
}

/// AdamW as all stages use it.
pub fn optimiser() -> AdamW {
    AdamW::new(Settings { beta_2: 0.98, weight_decay: 0.02, norm_max: 1.0, ..Settings::default() })
}

/// Averages of the parts of the loss.
#[derive(Default)]
struct Parts {
    text: Option<f64>,
    audio_text: Option<f64>,
    codes: Option<[f64; 4]>,
}

impl Parts {
    fn take(&mut self, losses: &Losses) {
        let mean = |old: Option<f64>, new: Option<f64>| match (old, new) {
            (Some(old), Some(new)) => Some(old + SMOOTHING * (new - old)),
            (old, new) => new.or(old),
        };
        (self.text, self.audio_text) = (mean(self.text, losses.text), mean(self.audio_text, losses.audio_text));
        if let Some(new) = losses.codes {
            let old = self.codes.unwrap_or(new);
            self.codes = Some(std::array::from_fn(|book| old[book] + SMOOTHING * (new[book] - old[book])));
        }
    }
}

impl std::fmt::Display for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let shown = |part: Option<f64>| part.map_or("-".to_string(), |part| format!("{part:.3}"));
        write!(f, "written {} beside speech {}", shown(self.text), shown(self.audio_text))?;
        self.codes.map_or(Ok(()), |[s, a, b, c]| write!(f, " codes {s:.2} {a:.2} {b:.2} {c:.2}"))
    }
}
