//! Training of the eyes: every patch and every token is asked what it shows.
//!
//! Asking the networks directly, through linear heads that are thrown away later, teaches them with far fewer pictures
//! than learning through the language model would. That a linear head can read a row is not enough for the language model,
//! which read hardly anything from rows that lay anywhere: so a row also learns to be the sum of the vectors of the words
//! for what it shows.

use anyhow::Result;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use caracal_edge::vision::Preprocessor;

use super::evaluate::{Score, draw_samples, score};
use super::network::{Named, config};
use super::sample::Sample;
use super::scene::Split;
use super::targets::Names;
use crate::adamw::{AdamW, Settings};
use crate::stage::{Folders, LearningRate, Stage};
use crate::word_vectors::WordVectors;

/// What training goes on from, below the work folder.
pub const STATE: &str = "eyes";
/// What is drawn comes from this and the step.
const SEED: u64 = 31;
/// Units of a step.
const BATCH: usize = 24;
/// Units that a score on the way is taken from.
const GLANCE: usize = 96;

/// Trains, or goes on with it, and ships what it has at every save.
///
/// # Errors
/// When a file cannot be read or written.
pub fn train(folders: &Folders, steps: usize) -> Result<()> {
    let rate = LearningRate { peak: 1.5e-3, floor: 0.02, warmup: 100, steps };
    let device = Device::flex().autodiff();
    let preprocessor = Preprocessor::new(&config().preprocess);
    let names = Names::of(&WordVectors::open(&folders.model)?);
    let state = folders.work.join(STATE);
    let before = folders.state(STATE, "vision");
    let mut stage = Stage::begin(folders, "eyes", steps, SEED)?;
    let mut named = if stage.resumed() { Named::open(&before, &device)? } else { Named::random(SEED, &device)? };
    let mut optimizer = AdamW::new(Settings { beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.02, norm_max: 1.0, ..Settings::default() });
    let glance = draw_samples(SEED, Split::HeldOut, GLANCE, &preprocessor);
    let mut note = String::new();
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        let samples: Vec<Sample> = (0..BATCH).map(|_| Sample::draw(&mut rng, Split::Train, &preprocessor)).collect();
        let loss = named.networks.loss(&samples, &names, &device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &named.networks);
        named.networks = optimizer.step(rate.at(step), named.networks, gradients);
        if stage.end_step(value, &note) {
            named.save(&state)?;
            named.ship(&folders.model)?;
            stage.saved()?;
            note = score(folders, &glance)?.brief();
        }
    }
    Ok(())
}

/// Scores what this stage trained on units that training never sees.
///
/// # Errors
/// When a file is missing: train first.
pub fn evaluate(folders: &Folders, units: usize) -> Result<Score> {
    score(folders, &draw_samples(SEED + 1, Split::HeldOut, units, &Preprocessor::new(&config().preprocess)))
}
