//! The loop that every stage runs in which the whole language model learns.

use anyhow::Result;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use super::balance::{Load, rebalance};
use super::batch::{Batch, batches};
use super::curriculum::Lessons;
use super::lesson::Teacher;
use super::loss::losses;
use super::measure::measure;
use super::model::BrainFiles;
use super::shape::SEED;
use crate::stage::{Folders, LearningRate, Stage};

/// Rows of a step.
const ROWS: usize = 2048;
/// Steps whose samples are drawn and sorted by length together.
const POOL: usize = 6;
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
    if stage.next_step().is_none() {
        return Ok(());
    }
    let (files, mut brain) = BrainFiles::open(&folders.model, teacher.heard, &device)?;
    let rate = LearningRate { peak: lessons.rate, floor: lessons.floor, warmup: WARMUP, steps: lessons.steps };
    let mut optimiser = optimiser();
    let mut pool: Vec<Batch> = Vec::new();
    let mut parts = Parts::default();
    let mut load = Load::default();
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        if pool.is_empty() {
            pool = batches(teacher.lessons(&lessons.mix, ROWS * POOL, &mut rng)?, ROWS, &mut rng);
        }
        let batch = pool.pop().expect("the pool was filled");
        load = Load::default();
        let x = batch.embed(&brain, teacher.sampler.markers(), teacher.heard, &device);
        let hidden = brain.language.offline(x, batch.samples, &mut load);
        let losses = losses(&brain, &batch, hidden);
        let gradients = losses.total.backward();
        let gradients = GradientsParams::from_grads(gradients, &brain);
        brain = optimiser.step(rate.at(step), brain, gradients);
        rebalance(&mut brain.language, &load, BIAS_RATE);
        let text = losses.text.or(losses.audio_text).unwrap_or_default();
        parts.take(losses.text, losses.audio_text, losses.codes);
        if stage.end_step(text, &parts.to_string()) {
            files.save(&brain, &folders.model)?;
            stage.saved()?;
            eprintln!("{}", measure(&brain.valid(), teacher, &lessons.mix)?);
        }
    }
    let (identity, spread) = load.report(files.config.n_routed_experts);
    eprintln!(
        "{}: {:.0} % of choices fall on experts without weights; least and most loaded by layer {spread:.2?}",
        lessons.name,
        identity * 100.0
    );
    Ok(())
}

/// AdamW as all stages use it.
pub fn optimiser() -> ModuleOptimizer {
    AdamWConfig::new().with_beta_2(0.98).with_weight_decay(0.02).with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init()
}

/// Averages of the parts of the loss.
#[derive(Default)]
struct Parts {
    text: Option<f64>,
    audio_text: Option<f64>,
    codes: Option<[f64; 4]>,
}

impl Parts {
    fn take(&mut self, text: Option<f64>, audio_text: Option<f64>, codes: Option<[f64; 4]>) {
        let mean = |old: Option<f64>, new: Option<f64>| match (old, new) {
            (Some(old), Some(new)) => Some(old + SMOOTHING * (new - old)),
            (old, new) => new.or(old),
        };
        (self.text, self.audio_text) = (mean(self.text, text), mean(self.audio_text, audio_text));
        if let Some(new) = codes {
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
