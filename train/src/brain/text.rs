//! First stage: conversations in writing, one to four exchanges, words as spoken and as typed.

use anyhow::Result;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::Device;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::ask::ask;
use super::balance::{Load, rebalance};
use super::batch::{Batch, batches};
use super::loss::losses;
use super::model::{Brain, BrainFiles};
use super::sample::{Perceived, Sample, Sampler, answer, typed};
use super::shape::SEED;
use super::tokenizer_file::written;
use crate::domain::{Conversation, Split};
use crate::stage::{Folders, LearningRate, Stage};

/// Rows of a step.
pub const ROWS: usize = 2048;
/// Steps whose samples are drawn and sorted by length together.
const POOL: usize = 8;
/// How fast the router's biases move.
pub const BIAS_RATE: f64 = 2e-3;
/// Questions that are asked now and then.
const ASKED: usize = 60;

/// Trains the stage, or goes on with it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(folders: &Folders, steps: usize) -> Result<()> {
    let device = Device::flex().autodiff();
    let heard = super::heard_width(folders)?;
    let (files, mut brain) = BrainFiles::open(&folders.model, heard, &device)?;
    let sampler = Sampler::open(&folders.model)?;
    let mut stage = Stage::begin(folders, "text", steps, SEED)?;
    let rate = LearningRate { peak: 1.5e-3, floor: 0.05, warmup: 200, steps };
    let mut optimiser = optimiser();
    let mut pool: Vec<Batch> = Vec::new();
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        if pool.is_empty() {
            pool = batches(draw(&mut rng, &sampler, ROWS * POOL, heard)?, ROWS, &mut rng);
        }
        let batch = pool.pop().expect("the pool was filled");
        let mut load = Load::default();
        let x = batch.embed(&brain, sampler.markers(), heard, &device);
        let hidden = brain.language.offline(x, batch.samples, &mut load);
        let losses = losses(&brain, &batch, hidden);
        let gradients = GradientsParams::from_grads(losses.total.backward(), &brain);
        brain = optimiser.step(rate.at(step), brain, gradients);
        rebalance(&mut brain.language, &load, BIAS_RATE);
        if stage.end_step(losses.text.unwrap_or(0.0), "") {
            files.save(&brain, &folders.model)?;
            stage.saved()?;
            eprintln!("{}", measure(&brain, &sampler, heard)?);
        }
    }
    Ok(())
}

/// AdamW as all stages use it.
pub fn optimiser() -> burn::optim::ModuleOptimizer {
    AdamWConfig::new().with_beta_2(0.98).with_weight_decay(0.02).with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init()
}

/// Conversations of about `rows` rows in all.
fn draw(rng: &mut StdRng, sampler: &Sampler, rows: usize, heard: usize) -> Result<Vec<Sample>> {
    let (mut samples, mut count) = (Vec::new(), 0);
    while count < rows {
        let exchanges = [1, 1, 2, 3, 4][rng.random_range(0..5)];
        let conversation = if rng.random_bool(0.1) {
            crate::domain::conversation::memory_over_four(rng, Split::Training)
        } else {
            Conversation::draw(rng, exchanges, Split::Training)
        };
        let as_typed = rng.random_bool(0.25);
        let messages: Vec<_> = conversation
            .exchanges
            .iter()
            .flat_map(|e| [typed(&if as_typed { written(&e.user) } else { e.user.clone() }), answer(&e.reply)])
            .collect();
        let sample = sampler.sample(&messages, Perceived::default(), heard, super::shape::WIDTH)?;
        count += sample.rows.len();
        samples.push(sample);
    }
    Ok(samples)
}

/// Share of held-out questions that are answered exactly right, with one that is not.
fn measure(brain: &Brain, sampler: &Sampler, heard: usize) -> Result<String> {
    let brain = brain.valid();
    let mut rng = StdRng::seed_from_u64(SEED + 1);
    let (mut right, mut wrong) = (0, String::new());
    for index in 0..ASKED {
        let conversation = if index % 4 == 0 {
            crate::domain::conversation::memory_over_four(&mut rng, Split::HeldOut)
        } else {
            Conversation::draw(&mut rng, 1, Split::HeldOut)
        };
        let mut messages: Vec<_> = conversation.exchanges.iter().flat_map(|e| [typed(&e.user), answer(&e.reply)]).collect();
        messages.pop();
        let last = conversation.exchanges.last().expect("there is an exchange");
        let found = ask(&brain, sampler, &messages, &Perceived::default(), heard)?;
        if found == last.reply {
            right += 1;
        } else {
            wrong = format!("{wrong}\n    {} -> {found} (not: {})", last.user, last.reply);
        }
    }
    Ok(format!("  {right} of {ASKED} held-out questions right{wrong}"))
}
