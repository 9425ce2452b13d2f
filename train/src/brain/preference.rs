//! Direct preference optimisation of text and audio together, on pairs of answers that the model itself gave.
//!
//! For each prompt a few answers are drawn. The one whose words are right and whose codes lie nearest to Caracal's own
//! recording is preferred to the one that is worst. Each head has its own term:
//! L = Σ over heads of -log σ(τ [(log π(y⁺) - log π₀(y⁺)) - (log π(y⁻) - log π₀(y⁻))]), π₀ the model before the run.
//!
//! Source: LongCat-Flash-Omni technical report, multi-head DPO: text and audio weigh the same. It leaves open whether its
//! regulariser of 0.1 is τ; here it is.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use caracal_cluster::backbone::BackboneConfig;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_shared::post_process::CodecCodes;
use caracal_shared::prompt::{Item, Message, Role};
use caracal_shared::reply::CODEBOOKS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::batch::Batch;
use super::lesson::Teacher;
use super::model::{Brain, BrainFiles};
use super::rollout::{Prompt, Rollout, Temperature, rollouts};
use super::sample::{Perceived, Sample, Sampler};
use super::shape::SEED;
use crate::ctc::edits;
use crate::domain::{Conversation, Split};
use crate::eyes::network::PAIR;
use crate::stage::{Folders, LearningRate, Stage};

/// Scale of the preference, which also holds the model near where it was.
const TAU: f64 = 0.1;
/// Share of questions that are heard; the others are typed. What the model mishears it also answers wrong in its own ways.
const HEARD_SHARE: f64 = 0.6;
/// Answers for each prompt.
const ANSWERS: usize = 6;
/// Pairs of a step.
const PAIRS: usize = 8;
/// How boldly answers are drawn.
const TEMPERATURE: Temperature = Temperature { text: 0.9, codes: 0.8 };
/// Highest learning rate.
const RATE: f64 = 2e-5;
/// Smallest difference of code errors between two answers with right words that makes a pair.
const DIFFERENCE_MIN: f64 = 0.05;

/// Heads with a term of their own: text, then the codebooks.
const HEADS: usize = 1 + CODEBOOKS;

/// A prompt with a better and a worse answer.
struct Pair {
    better: Sample,
    worse: Sample,
}

/// Runs the stage, or goes on with it.
///
/// # Errors
/// When a file cannot be read or written, or an answer not be drawn.
pub fn run(folders: &Folders, teacher: &Teacher, steps: usize) -> Result<()> {
    let device = Device::flex().autodiff();
    let mut stage = Stage::begin(folders, "preference", steps, SEED + 3)?;
    if stage.next_step().is_none() {
        return Ok(());
    }
    let (files, mut brain) = BrainFiles::open(&folders.model, teacher.heard, &device)?;
    let before = brain.valid();
    let rate = LearningRate { peak: RATE, floor: 0.0, warmup: steps.div_ceil(30), steps };
    let mut optimiser = super::training::optimiser();
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        let mut pairs = Vec::with_capacity(PAIRS);
        let now = brain.valid();
        while pairs.len() < PAIRS {
            let seeds: [u64; PAIRS] = std::array::from_fn(|_| rng.random());
            let drawn = seeds.par_iter().map(|seed| draw(&now, &files.config, teacher, &mut StdRng::seed_from_u64(*seed)));
            pairs.extend(drawn.collect::<Result<Vec<_>>>()?.into_iter().flatten());
        }
        pairs.truncate(PAIRS);
        let (better, worse): (Vec<Sample>, Vec<Sample>) = pairs.into_iter().map(|pair| (pair.better, pair.worse)).unzip();
        let batches = [Batch::new(better), Batch::new(worse)];
        let gain = |brain: &Brain, device: &Device| {
            let [better, worse] = batches.each_ref().map(|batch| log_probabilities(brain, &teacher.sampler, batch, teacher.heard, device));
            better - worse
        };
        let reference = gain(&before, &Device::flex()).into_data();
        let margin = gain(&brain, &device) - Tensor::from_data(reference, &device);
        let loss = activation::log_sigmoid(margin * TAU).neg().sum_dim(1).mean();
        let shown = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &brain);
        brain = optimiser.step(rate.at(step), brain, gradients);
        if stage.end_step(shown, "") {
            files.save(&brain, &folders.model)?;
            stage.saved()?;
        }
    }
    Ok(())
}

/// A question and two answers of the model's own; nothing where its answers are all alike.
fn draw(brain: &Brain, config: &BackboneConfig, teacher: &Teacher, rng: &mut StdRng) -> Result<Option<Pair>> {
    let conversation = Conversation::draw(rng, 1, Split::Training);
    let exchange = &conversation.exchanges[0];
    if !teacher.replies.as_ref().is_some_and(|replies| replies.can_say(&exchange.reply)) {
        return Ok(None);
    }
    let mut perceived = Perceived::default();
    let question = teacher.asked(&exchange.user, rng.random_bool(HEARD_SHARE), &mut perceived, rng)?;
    let rows = teacher.sampler.prompt(std::slice::from_ref(&question), true)?;
    let prompt = Prompt { rows, perceived, heard: teacher.heard };
    let answers = rollouts(brain, config, &teacher.sampler, &prompt, ANSWERS, TEMPERATURE, rng)?;
    pair(teacher, &question, &prompt.perceived, &exchange.reply, &answers)
}

/// The best and the worst of some answers, if they differ enough.
fn pair(teacher: &Teacher, question: &Message, perceived: &Perceived, wanted: &str, answers: &[Rollout]) -> Result<Option<Pair>> {
    let Some(Message { items, .. }) = teacher.replies.as_ref().and_then(|replies| replies.say(wanted)) else { return Ok(None) };
    let Some(Item::Spoken { segments, .. }) = items.first() else { return Ok(None) };
    let semantic = |segments: &[Vec<CodecCodes>]| -> Vec<u32> { segments.iter().flatten().map(|frame| frame[0]).collect() };
    let recorded = semantic(segments);
    let error = |answer: &Rollout| -> Option<f64> {
        let (_, segments) = answer.spoken.as_ref()?;
        let wrong = f64::from(u8::from(answer.text != wanted));
        Some(wrong + edits(&recorded, &semantic(segments)) as f64 / recorded.len().max(1) as f64)
    };
    let mut ranked: Vec<(f64, &Rollout)> = answers.iter().filter_map(|answer| Some((error(answer)?, answer))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some((least, better)), Some((most, worse))) = (ranked.first(), ranked.last()) else { return Ok(None) };
    if *least >= 1.0 || most - least < DIFFERENCE_MIN {
        return Ok(None);
    }
    let told = |answer| told(&teacher.sampler, question, perceived, answer, teacher.heard);
    Ok(Some(Pair { better: told(better)?, worse: told(worse)? }))
}

fn told(sampler: &Sampler, question: &Message, perceived: &Perceived, answer: &Rollout, heard: usize) -> Result<Sample> {
    let (text, segments) = answer.spoken.clone().context("only whole answers are ranked")?;
    let answer = Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text, segments }] };
    sampler.sample(&[question.clone(), answer], perceived.clone(), heard, PAIR)
}

/// Log probability of each sample's answer by each head.
///
/// # Shapes
/// `[samples, HEADS]`
fn log_probabilities(brain: &Brain, sampler: &Sampler, batch: &Batch, heard: usize, device: &Device) -> Tensor<2> {
    let x = batch.embed(brain, sampler.markers(), heard, device);
    let hidden = brain.language.offline(x, batch.samples, &mut Unwatched);
    let rows = batch.targets.len();
    let text: Vec<Option<u32>> = batch.targets.iter().map(|target| target.text).collect();
    let mut heads = vec![picked(brain.language.text_logits(hidden.clone(), &mut Unwatched), &text)];
    let gold: Vec<Vec<u32>> = batch.targets.iter().map(|target| target.codes.iter().map(|code| code.unwrap_or(0)).collect()).collect();
    for (book, logits) in brain.head.forward(hidden, &gold).into_iter().enumerate() {
        heads.push(picked(logits, &batch.targets.iter().map(|target| target.codes[book]).collect::<Vec<_>>()));
    }
    debug_assert_eq!(heads.len(), HEADS);
    let by_row = Tensor::cat(heads, 1);
    by_row.reshape([batch.samples, rows / batch.samples, HEADS]).sum_dim(1).reshape([batch.samples, HEADS])
}

/// log softmax at the given ids, 0 where there is none.
///
/// # Shapes
/// logits: `[rows, classes]` → `[rows, 1]`
fn picked(logits: Tensor<2>, ids: &[Option<u32>]) -> Tensor<2> {
    let device = logits.device();
    let count = ids.len();
    let index: Vec<i32> = ids.iter().map(|id| id.unwrap_or(0) as i32).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(index, [count, 1]), &device);
    let mask: Vec<f32> = ids.iter().map(|id| f32::from(u8::from(id.is_some()))).collect();
    activation::log_softmax(logits, 1).gather(1, index) * Tensor::<2>::from_data(TensorData::new(mask, [count, 1]), &device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picked_values_are_log_probabilities_and_zero_where_nothing_is_asked() {
        let logits = Tensor::<2>::from_data([[0.0, 3f32.ln()], [1.0, 1.0]], &Device::flex());
        let values: Vec<f32> = picked(logits, &[Some(1), None]).into_data().try_into_vec().unwrap();
        assert!((values[0] - 0.75f32.ln()).abs() < 1e-6);
        assert_eq!(values[1], 0.0);
    }
}
